import Compute
import Core
import Learners
import Tables
import Testing

/// K-means on files and on batches against K-means in memory.
@Suite struct StreamedKMeansTests {
    @Test(arguments: TestDevices.names)
    func blocksGiveWhatMemoryGives(device: String) throws {
        let folder = TemporaryFolder()
        let (points, _) = KMeansTests.planted(n: 9000, d: 7, k: 9, spread: 2, offset: 100)
        try NumPyFile.write(points, to: folder.file("points.npy"))
        var options = KMeansOptions()
        options.clusters = 6
        options.iterations = 7
        let start = KMeansTests.firstRows(points, 6)
        let stream = try TestDevices.stream(device)
        let whole = try KMeans(options: options, stream: stream).fit(points, initialCenters: start)
        // Blocks of 2,340 rows: four, the last one short.
        let streamed = try StreamedKMeans(options: options, stream: stream, blockBytes: 1 << 16)
            .fit(NumPyFile(path: folder.file("points.npy")), initialCenters: start, labels: true)
        #expect(abs(streamed.inertia - whole.inertia) <= 1e-5 * whole.inertia)
        #expect(abs(streamed.totalInertia - whole.totalInertia) <= 1e-5 * whole.totalInertia)
        #expect(zip(streamed.labels, whole.labels).count { $0 != $1 } <= 2)
        #expect(relativeDifference(streamed.centers.rowsOfDoubles, whole.centers.rowsOfDoubles) < 1e-5)
        #expect(streamed.sizes.reduce(0, +) == 9000 && streamed.iterations == 7)
    }

    @Test func plantedClustersAreFoundInAFile() throws {
        let folder = TemporaryFolder()
        let (points, truth) = KMeansTests.planted(n: 20_000, d: 5, k: 8)
        try NumPyFile.write(points, to: folder.file("points.npy"))
        var options = KMeansOptions()
        options.clusters = 8
        options.seed = 4
        let result = try StreamedKMeans(options: options, stream: TestDevices.stream("cpu"), blockBytes: 1 << 16)
            .fit(NumPyFile(path: folder.file("points.npy")), labels: true)
        #expect(Set(zip(truth, result.labels).map { [Int32($0), $1] }).count == 8 && result.converged)
    }

    @Test func aHoleInAFileIsNamed() throws {
        let folder = TemporaryFolder()
        let (points, _) = KMeansTests.planted(n: 9000, d: 7, k: 9)
        points[7000, 3] = .nan
        try NumPyFile.write(points, to: folder.file("points.npy"))
        var options = KMeansOptions()
        options.clusters = 3
        options.startingSample = 100
        let means = try StreamedKMeans(options: options, stream: TestDevices.stream("cpu"), blockBytes: 1 << 16)
        #expect(throws: DataError("row 7001 has the value nan in column 4; every value must be a finite number")) {
            try means.fit(NumPyFile(path: folder.file("points.npy")))
        }
    }

    @Test(arguments: TestDevices.names)
    func batchesComeNearToWholePasses(device: String) throws {
        let (points, truth) = KMeansTests.planted(n: 5000, d: 5, k: 8)
        var options = KMeansOptions()
        options.clusters = 8
        options.iterations = 60
        options.miniBatch = 256
        options.restarts = 3
        let result = try KMeans(options: options, stream: TestDevices.stream(device)).fit(points)
        #expect(Set(zip(truth, result.labels).map { [Int32($0), $1] }).count == 8)
        options.miniBatch = 0
        let whole = try KMeans(options: options, stream: TestDevices.stream(device)).fit(points)
        #expect(result.inertia < 1.05 * whole.inertia && result.iterations == 60)
    }
}
