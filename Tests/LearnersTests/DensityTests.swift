import Core
import Learners
import Testing

/// DBSCAN against its definition, in all shapes that take another way through the code.
@Suite struct DensityTests {
    /// Straight from the definition, n² distances; clusters numbered by their first core point.
    static func reference(_ points: HostMatrix, radius: Double, minimum: Int) -> (labels: [Int32], core: [Bool]) {
        let x = points.rowsOfDoubles
        func near(_ i: Int, _ j: Int) -> Bool {
            var sum = 0.0
            for p in x[i].indices { sum += (x[i][p] - x[j][p]) * (x[i][p] - x[j][p]) }
            return sum <= radius * radius
        }
        let neighbors = x.indices.map { i in x.indices.filter { near(i, $0) } }
        let core = neighbors.map { $0.count >= minimum }
        var labels = [Int32](repeating: -1, count: x.count)
        var next: Int32 = 0
        for i in x.indices where core[i] && labels[i] < 0 {
            var waiting = [i]
            labels[i] = next
            while let one = waiting.popLast() {
                for j in neighbors[one] where labels[j] < 0 {
                    labels[j] = next
                    if core[j] { waiting.append(j) }
                }
            }
            next += 1
        }
        return (labels, core)
    }

    static func blobs(n: Int, d: Int, spread: Double, seed: UInt64) -> HostMatrix {
        let random = Philox(seed: seed, stream: 1)
        let points = HostMatrix(rows: n, columns: d)
        for i in 0..<n {
            let blob = random.integer(UInt64(i), below: 6)
            for p in 0..<d {
                let noise = random.normal(UInt64(100_000 + i * d + p)) * spread
                points[i, p] = Float(Double((blob * 5 + p * 2) % 9) + noise - 1000)
            }
        }
        return points
    }

    @Test(
        arguments: [(800, 1, 0.05, 4), (800, 2, 0.3, 5), (800, 2, 0.05, 3), (700, 3, 0.5, 6), (600, 5, 1.2, 5)]
            + [(500, 20, 4.0, 8), (300, 2, 1e-4, 2), (300, 2, 100, 5), (64, 8, 1.5, 4), (1, 2, 1, 1), (0, 3, 1, 2)])
    func followsTheDefinition(shape: (n: Int, d: Int, radius: Double, minimum: Int)) throws {
        let points = Self.blobs(n: shape.n, d: shape.d, spread: 0.6, seed: UInt64(shape.n))
        // Points twice, and some far away.
        for i in stride(from: 5, to: shape.n - 1, by: 50) {
            for p in 0..<shape.d {
                points[i + 1, p] = points[i, p]
                if i % 200 == 5 { points[i - 1, p] += 50 }
            }
        }
        let expected = Self.reference(points, radius: shape.radius, minimum: shape.minimum)
        var options = DensityOptions()
        options.radius = shape.radius
        options.minimumPoints = shape.minimum
        for threads in [1, 3] {
            options.threads = threads
            let result = try DensityClustering(options: options).fit(points)
            #expect(result.isCore == expected.core)
            #expect(result.labels == expected.labels)
            #expect(result.clusters == Int(expected.labels.max() ?? -1) + 1)
            #expect(result.sizes.reduce(0, +) + result.noise == shape.n)
        }
    }

    /// Whole numbers: distances of exactly ε count.
    @Test(arguments: [2, 3, 4])
    func theRadiusIsInclusive(d: Int) throws {
        let random = Philox(seed: 5, stream: 5)
        let points = HostMatrix(
            rows: 400, columns: d, elements: (0..<400 * d).map { Float(random.integer(UInt64($0), below: 12)) })
        var options = DensityOptions()
        options.radius = d == 2 ? 1 : 2
        options.minimumPoints = 6
        let result = try DensityClustering(options: options).fit(points)
        let expected = Self.reference(points, radius: options.radius, minimum: 6)
        #expect(result.labels == expected.labels && result.isCore == expected.core)
    }

    /// Two rings, one within the other, which K-means can't tell apart.
    @Test func ringsAreFound() throws {
        let random = Philox(seed: 2, stream: 2)
        let points = HostMatrix(rows: 2000, columns: 2)
        for i in 0..<2000 {
            let (x, y) = (random.normal(UInt64(4 * i)), random.normal(UInt64(4 * i + 1)))
            let scale = (i % 2 == 0 ? 1.0 : 3.0) / (x * x + y * y).squareRoot()
            points[i, 0] = Float(x * scale + 0.05 * random.normal(UInt64(4 * i + 2)))
            points[i, 1] = Float(y * scale + 0.05 * random.normal(UInt64(4 * i + 3)))
        }
        var options = DensityOptions()
        options.radius = 0.3
        let result = try DensityClustering(options: options).fit(points)
        #expect(result.clusters == 2 && result.noise < 5)
        for i in 0..<2000 where result.labels[i] >= 0 { #expect(result.labels[i] == Int32(i % 2)) }
    }

    @Test(arguments: [2, 6])
    func newPointsJoinTheClusterThatReachesThem(d: Int) throws {
        let folder = TemporaryFolder()
        let points = Self.blobs(n: 900, d: d, spread: 0.4, seed: 8)
        var options = DensityOptions()
        options.radius = d == 2 ? 0.2 : 1
        options.minimumPoints = 5
        let result = try DensityClustering(options: options).fit(points)
        let path = folder.file("density.apus")
        try DensityModel(points, result: result, options: options, features: nil, provenance: ModelProvenance())
            .save(to: path)
        let model = try DensityModel(path: path)
        #expect(try model.assign(points) == result.labels)
        let far = HostMatrix(rows: 2, columns: d, repeating: 1e6)
        #expect(try model.assign(far) == [-1, -1])
        #expect(throws: DataError("the points have \(d + 1) columns, the model has \(d)")) {
            try model.assign(HostMatrix(rows: 1, columns: d + 1))
        }
    }

    @Test func whatMakesNoSenseIsRefused() throws {
        for radius in [0, -1, Double.nan, .infinity] {
            var options = DensityOptions()
            options.radius = radius
            #expect(throws: ParameterError.self) { try DensityClustering(options: options) }
        }
        let holed = HostMatrix(rows: 3, columns: 2)
        holed[1, 0] = .infinity
        #expect(throws: DataError.self) { try DensityClustering(options: DensityOptions()).fit(holed) }
        let equal = try DensityClustering(options: DensityOptions()).fit(HostMatrix(rows: 9, columns: 2, repeating: 3))
        #expect(equal.clusters == 1 && equal.sizes == [9])
    }

    /// The order of the points and their scale don't matter; of points twice, half the density finds the same.
    @Test(arguments: [2, 6])
    func symmetries(d: Int) throws {
        let points = Self.blobs(n: 500, d: d, spread: 0.5, seed: 11)
        var options = DensityOptions()
        options.radius = d == 2 ? 0.2 : 1
        options.minimumPoints = 5
        let plain = try DensityClustering(options: options).fit(points)
        let order = Philox(seed: 2, stream: 8).permutation(count: 500)
        let shuffled = HostMatrix(rows: 500, columns: d, elements: order.flatMap { Array(points.row($0)) })
        let moved = try DensityClustering(options: options).fit(shuffled)
        #expect(order.enumerated().allSatisfy { plain.isCore[$1] == moved.isCore[$0] })
        #expect(plain.clusters == moved.clusters && plain.noise == moved.noise)
        // The same clusters of core points, numbered otherwise.
        var names: [Int32: Int32] = [:]
        for (place, row) in order.enumerated() where plain.isCore[row] {
            let name = names[moved.labels[place]] ?? plain.labels[row]
            names[moved.labels[place]] = name
            #expect(name == plain.labels[row])
        }
        options.radius *= 8
        let large = try DensityClustering(options: options).fit(
            HostMatrix(rows: 500, columns: d, elements: points.storage.elements.map { $0 * 8 }))
        #expect(large.labels == plain.labels && large.isCore == plain.isCore)
        options.radius /= 8
        options.minimumPoints = 10
        let twice = try DensityClustering(options: options).fit(
            HostMatrix(
                rows: 1000, columns: d,
                elements: Array(points.storage.elements) + Array(points.storage.elements)))
        #expect(Array(twice.labels.prefix(500)) == plain.labels && Array(twice.labels.suffix(500)) == plain.labels)
    }
}
