import Compute
import Core
import Devices
import Learners
import Testing

/// K-means against a plain double-precision one from the same centres, on planted clusters, and on what is not meant for it.
@Suite struct KMeansTests {
    /// Points around `k` centres on a coarse grid, far from the origin.
    static func planted(n: Int, d: Int, k: Int, spread: Double = 0.1, offset: Float = 0) -> (HostMatrix, [Int]) {
        let random = Philox(seed: 9, stream: 1)
        let truth = (0..<n).map { random.integer(UInt64($0), below: k) }
        let points = HostMatrix(rows: n, columns: d)
        for i in 0..<n {
            for p in 0..<d {
                let center = Float((truth[i] * 7 + p * 3 + truth[i] * p) % 11)
                points[i, p] = offset + center + Float(random.normal(UInt64(1_000_000 + i * d + p)) * spread)
            }
        }
        return (points, truth)
    }

    /// Lloyd's iteration in double precision.
    static func reference(_ points: HostMatrix, from start: HostMatrix, iterations: Int) -> (
        labels: [Int], inertia: Double, centers: [[Double]]
    ) {
        let x = points.rowsOfDoubles
        var centers = start.rowsOfDoubles
        var labels = [Int](repeating: 0, count: x.count)
        var inertia = 0.0
        for iteration in 0...iterations {
            inertia = 0
            for (i, point) in x.enumerated() {
                var best = Double.infinity
                for (j, center) in centers.enumerated() {
                    var distance = 0.0
                    for p in point.indices { distance += (point[p] - center[p]) * (point[p] - center[p]) }
                    if distance < best { (best, labels[i]) = (distance, j) }
                }
                inertia += best
            }
            if iteration == iterations { break }
            for j in centers.indices {
                let members = labels.indices.filter { labels[$0] == j }
                guard !members.isEmpty else { continue }
                for p in centers[j].indices {
                    centers[j][p] = members.reduce(0) { $0 + x[$1][p] } / Double(members.count)
                }
            }
        }
        return (labels, inertia, centers)
    }

    static func firstRows(_ points: HostMatrix, _ k: Int) -> HostMatrix {
        HostMatrix(
            rows: k, columns: points.columns, elements: Array(points.storage.elements.prefix(k * points.columns)))
    }

    @Test(arguments: TestDevices.names, [Float(0), 1000])
    func agreesWithDoublePrecision(device: String, offset: Float) throws {
        let (points, _) = Self.planted(n: 1500, d: 7, k: 9, spread: 2, offset: offset)
        let start = Self.firstRows(points, 6)
        var options = KMeansOptions()
        options.clusters = 6
        options.iterations = 8
        let result = try KMeans(options: options, stream: TestDevices.stream(device))
            .fit(points, initialCenters: start)
        let expected = Self.reference(points, from: start, iterations: 8)
        #expect(result.iterations == 8 && !result.converged)
        #expect(abs(result.inertia - expected.inertia) <= 1e-5 * expected.inertia)
        #expect(zip(result.labels, expected.labels).count { Int($0) != $1 } <= 2)
        #expect(relativeDifference(result.centers.rowsOfDoubles, expected.centers) < 1e-5)
        for (earlier, later) in zip(result.history, result.history.dropFirst()) {
            #expect(later <= earlier * (1 + 1e-6))
        }
        #expect(result.history.last! >= result.inertia * (1 - 1e-6))
        #expect(result.sizes.reduce(0, +) == 1500 && result.iterationSeconds.count == 8)
    }

    @Test(arguments: TestDevices.names, [KMeansStart.plusPlus, .parallel, .auto])
    func recoversPlantedClusters(device: String, start: KMeansStart) throws {
        let (points, truth) = Self.planted(n: 2000, d: 5, k: 8)
        var options = KMeansOptions()
        options.clusters = 8
        options.start = start
        options.restarts = 3
        options.seed = 4
        let result = try KMeans(options: options, stream: TestDevices.stream(device)).fit(points)
        #expect(result.converged && result.emptyClusters == 0)
        // One label for each planted cluster.
        let pairs = Set(zip(truth, result.labels).map { [Int32($0), $1] })
        #expect(pairs.count == 8)
        #expect(result.inertia < 0.01 * result.totalInertia)
    }

    @Test func theSameBitsForASeedAndEveryThreadCount() throws {
        let (points, _) = Self.planted(n: 3000, d: 20, k: 8, spread: 3)
        var options = KMeansOptions()
        options.clusters = 12
        options.iterations = 5
        var results: [KMeansResult] = []
        for threads in [1, 2, 3] {
            let device = try Devices.open("cpu", options: DeviceOptions(threads: threads)).device
            results.append(try KMeans(options: options, stream: device.makeStream()).fit(points))
        }
        for other in results.dropFirst() {
            #expect(other.labels == results[0].labels && other.inertia == results[0].inertia)
            #expect(other.centers.isIdentical(to: results[0].centers))
        }
        options.seed = 43
        let other = try KMeans(options: options, stream: TestDevices.stream("cpu")).fit(points)
        #expect(other.inertia != results[0].inertia)
    }

    /// A weight of 2 is a point twice; a weight of 0 is none.
    @Test(arguments: TestDevices.names)
    func weightsAreRepetitions(device: String) throws {
        let (points, _) = Self.planted(n: 400, d: 3, k: 4, spread: 2)
        let weights = (0..<400).map { Float($0 % 3) }
        var repeated: [Float] = []
        for i in 0..<400 { for _ in 0..<(i % 3) { repeated += points.row(i) } }
        var options = KMeansOptions()
        options.clusters = 5
        options.iterations = 6
        let means = try KMeans(options: options, stream: TestDevices.stream(device))
        let start = Self.firstRows(points, 5)
        let weighted = try means.fit(points, weights: weights, initialCenters: start)
        let plain = try means.fit(
            HostMatrix(rows: repeated.count / 3, columns: 3, elements: repeated), initialCenters: start)
        #expect(abs(weighted.inertia - plain.inertia) <= 1e-5 * plain.inertia)
        #expect(relativeDifference(weighted.centers.rowsOfDoubles, plain.centers.rowsOfDoubles) < 1e-5)
        #expect(weighted.weights == plain.sizes.map(Double.init))
    }

    /// A centre that nobody is near gets the farthest point.
    @Test(arguments: TestDevices.names)
    func emptyClustersAreRefilled(device: String) throws {
        let (points, _) = Self.planted(n: 500, d: 2, k: 5)
        points[77, 0] = 500
        let start = Self.firstRows(points, 4)
        start[2, 0] = -1e5
        start[3, 0] = -1e5
        var options = KMeansOptions()
        options.clusters = 4
        options.iterations = 3
        let result = try KMeans(options: options, stream: TestDevices.stream(device))
            .fit(points, initialCenters: start)
        #expect(result.refilled >= 2 && result.emptyClusters == 0)
        #expect(result.sizes[Int(result.labels[77])] == 1)
    }

    @Test func equalPointsLeaveClustersEmpty() throws {
        let points = HostMatrix(rows: 50, columns: 3, repeating: 7.25)
        var options = KMeansOptions()
        options.clusters = 4
        let result = try KMeans(options: options, stream: TestDevices.stream("cpu")).fit(points)
        #expect(result.inertia == 0 && result.emptyClusters == 3 && result.converged)
        #expect(result.labels.allSatisfy { $0 == 0 })
        #expect(result.centers.storage.elements.allSatisfy { $0 == 7.25 })
    }

    /// The order of the rows, and scaling by a power of two, change nothing but the numbering.
    @Test func rowsMayBePermutedAndScaled() throws {
        let (points, _) = Self.planted(n: 600, d: 4, k: 6, spread: 2)
        let order = Philox(seed: 1, stream: 1).permutation(count: 600)
        let shuffled = HostMatrix(rows: 600, columns: 4)
        for (place, row) in order.enumerated() { for p in 0..<4 { shuffled[place, p] = 4 * points[row, p] } }
        var options = KMeansOptions()
        options.clusters = 6
        let means = try KMeans(options: options, stream: TestDevices.stream("cpu"))
        let start = Self.firstRows(points, 6)
        let scaledStart = HostMatrix(rows: 6, columns: 4, elements: start.storage.elements.map { 4 * $0 })
        let a = try means.fit(points, initialCenters: start)
        let b = try means.fit(shuffled, initialCenters: scaledStart)
        #expect(abs(b.inertia - 16 * a.inertia) <= 1e-5 * b.inertia)
        for (place, row) in order.enumerated() { #expect(b.labels[place] == a.labels[row]) }
    }

    @Test(arguments: TestDevices.names)
    func cosineIgnoresLength(device: String) throws {
        let points = HostMatrix(rows: 301, columns: 3)
        let random = Philox(seed: 3, stream: 3)
        for i in 0..<300 {
            let length = Float(1 + random.integer(UInt64(i), below: 1000))
            points[i, i % 3] = length
            points[i, (i + 1) % 3] = length * 0.2 * random.uniform(UInt64(1000 + i))
        }
        var options = KMeansOptions()
        options.clusters = 3
        options.distance = .cosine
        options.restarts = 4
        let result = try KMeans(options: options, stream: TestDevices.stream(device)).fit(points)
        for i in 0..<300 { #expect(result.labels[i] == result.labels[i % 3]) }
        #expect(Set(result.labels.prefix(3)).count == 3)
        #expect(result.distances[300] == 1 && result.inertia < 10 && result.totalInertia > 50)
        for j in 0..<3 {
            #expect(abs(result.centers.row(j).reduce(0) { $0 + $1 * $1 } - 1) < 1e-5)
        }
    }

    @Test func whatCannotBeClusteredIsRefused() throws {
        let stream = try TestDevices.stream("cpu")
        var options = KMeansOptions()
        options.clusters = 0
        #expect(throws: ParameterError.self) { try KMeans(options: options, stream: stream) }
        options.clusters = 4
        let means = try KMeans(options: options, stream: stream)
        #expect(throws: DataError("3 points can't form 4 clusters")) { try means.fit(HostMatrix(rows: 3, columns: 2)) }
        let holed = HostMatrix(rows: 9, columns: 2)
        holed[5, 1] = .nan
        #expect(throws: DataError("row 6 has the value nan in column 2; every value must be a finite number")) {
            try means.fit(holed)
        }
        let points = Self.planted(n: 20, d: 2, k: 3).0
        #expect(throws: DataError("the initial centres are 4 × 3; 4 × 2 are needed")) {
            try means.fit(points, initialCenters: HostMatrix(rows: 4, columns: 3))
        }
        #expect(throws: DataError("the weight of row 2 is -1.0; weights are numbers from 0 up")) {
            try means.fit(points, weights: [1, -1] + [Float](repeating: 1, count: 18))
        }
    }

    /// A column that never changes has no influence.
    @Test func constantColumnsDoNotMatter() throws {
        let (points, _) = Self.planted(n: 300, d: 2, k: 4, spread: 1)
        let wider = HostMatrix(rows: 300, columns: 3, repeating: 123.5)
        for i in 0..<300 { for p in 0..<2 { wider[i, p] = points[i, p] } }
        var options = KMeansOptions()
        options.clusters = 4
        let means = try KMeans(options: options, stream: TestDevices.stream("cpu"))
        let (narrow, wide) = (try means.fit(points), try means.fit(wider))
        #expect(narrow.labels == wide.labels)
        #expect((0..<4).allSatisfy { wide.centers[$0, 2] == 123.5 })
    }

    @Test(arguments: TestDevices.names)
    func modelsKeepTheirClusters(device: String) throws {
        let folder = TemporaryFolder()
        let (points, _) = Self.planted(n: 700, d: 4, k: 5, offset: 300)
        var options = KMeansOptions()
        options.clusters = 5
        let stream = try TestDevices.stream(device)
        let result = try KMeans(options: options, stream: stream).fit(points)
        let path = folder.file("segments.apus")
        try SegmentModel(
            result: result, options: options, features: ["a", "b", "c", "d"], provenance: ModelProvenance()
        )
        .save(to: path)
        let model = try SegmentModel(path: path)
        #expect(model.centers.isIdentical(to: result.centers) && model.sizes == result.sizes)
        #expect(model.inertia == result.inertia && model.options == options && model.features?.count == 4)
        let assigned = try model.assign(points, stream: stream)
        #expect(assigned.labels == result.labels)
        #expect(throws: DataError("the points have 3 columns, the model has 4: a, b, c, d")) {
            try model.assign(HostMatrix(rows: 2, columns: 3), stream: stream)
        }
    }

    /// Bounds spare comparisons and change nothing: labels, centres and inertia to the bit.
    @Test(arguments: TestDevices.names, [(3, 11, 0.2), (2, 40, 3.0), (24, 30, 1.0)])
    func boundsChangeNothing(device: String, shape: (d: Int, k: Int, spread: Double)) throws {
        let (points, _) = Self.planted(n: 4000, d: shape.d, k: shape.k, spread: shape.spread, offset: 50)
        var options = KMeansOptions()
        options.clusters = shape.k
        options.iterations = 30
        var means = try KMeans(options: options, stream: TestDevices.stream(device))
        let with = try means.fit(points, initialCenters: Self.firstRows(points, shape.k))
        means.usesBounds = false
        let without = try means.fit(points, initialCenters: Self.firstRows(points, shape.k))
        #expect(with.labels == without.labels && with.centers.isIdentical(to: without.centers))
        #expect(with.inertia == without.inertia && with.history == without.history)
        #expect(without.spared == 0)
        if shape.spread < 0.5 { #expect(with.spared > 0) }
    }

    /// The order of the points, their scale and repetition show only as they should.
    @Test func symmetries() throws {
        let (points, _) = Self.planted(n: 900, d: 5, k: 6, spread: 1.5)
        let start = Self.firstRows(points, 6)
        var options = KMeansOptions()
        options.clusters = 6
        options.iterations = 12
        let stream = try TestDevices.stream("cpu")
        func fit(_ points: HostMatrix, _ start: HostMatrix) throws -> KMeansResult {
            try KMeans(options: options, stream: stream).fit(points, initialCenters: start)
        }
        let plain = try fit(points, start)
        let order = Philox(seed: 4, stream: 4).permutation(count: 900, start: 0)
        let shuffled = HostMatrix(
            rows: 900, columns: 5, elements: order.flatMap { Array(points.row($0)) })
        let moved = try fit(shuffled, start)
        #expect((0..<900).count { moved.labels[$0] != plain.labels[order[$0]] } <= 1)
        #expect(abs(moved.inertia - plain.inertia) < 1e-5 * plain.inertia)
        func scaled(_ matrix: HostMatrix) -> HostMatrix {
            HostMatrix(rows: matrix.rows, columns: 5, elements: matrix.storage.elements.map { $0 * 64 })
        }
        let large = try fit(scaled(points), scaled(start))
        #expect(large.labels == plain.labels && abs(large.inertia - 4096 * plain.inertia) < 1e-5 * large.inertia)
        let twice = HostMatrix(
            rows: 1800, columns: 5, elements: Array(points.storage.elements) + Array(points.storage.elements))
        let doubled = try fit(twice, start)
        #expect(Array(doubled.labels.prefix(900)) == Array(doubled.labels.suffix(900)))
        #expect((0..<900).count { doubled.labels[$0] != plain.labels[$0] } <= 1)
        #expect(abs(doubled.inertia - 2 * plain.inertia) < 1e-5 * doubled.inertia)
    }
}
