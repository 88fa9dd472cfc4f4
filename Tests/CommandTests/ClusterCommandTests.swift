import Testing

/// Clusters, segments, look-alikes and indices through the program, with what users get wrong.
@Suite struct ClusterCommandTests {
    /// Customers of three kinds, with a column that never varies.
    private static func customers(_ folder: TemporaryFolder) -> String {
        var text = "customer,age,spending,visits,country\n"
        for i in 0..<90 {
            let kind = i % 3
            text += "c\(i),\(20 + 20 * kind + i % 5),\([10, 500, 90][kind] + i % 7),\([1, 2, 30][kind] + i % 2),fr\n"
        }
        return folder.write("customers.csv", text)
    }

    /// A NumPy file of float32.
    static func npy(_ folder: TemporaryFolder, _ name: String, _ rows: [[Float]]) -> String {
        let shape = "(\(rows.count), \(rows.first?.count ?? 0))"
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': \(shape), }"
        while (10 + header.utf8.count + 1) % 64 != 0 { header += " " }
        header += "\n"
        var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [1, 0]
        bytes += [UInt8(header.utf8.count & 255), UInt8(header.utf8.count >> 8)] + Array(header.utf8)
        for value in rows.flatMap({ $0 }) { withUnsafeBytes(of: value.bitPattern.littleEndian) { bytes += $0 } }
        return folder.write(name, bytes)
    }

    private static func points(_ folder: TemporaryFolder, _ name: String = "points.npy", _ n: Int = 60) -> String {
        var rows: [[Float]] = []
        for i in 0..<n {
            let row: [Float] = (0..<40).map { p in
                let center = (i % 3) * 10 * (p % 2)
                return Float(center + (i * 7 + p) % 5)
            }
            rows.append(row)
        }
        return npy(folder, name, rows)
    }

    @Test func kmeansOfPoints() throws {
        let folder = TemporaryFolder()
        let points = Self.points(folder)
        let centers = Self.npy(
            folder, "centers.npy", [[Float](repeating: 0, count: 40), [Float](repeating: 20, count: 40)])
        let result = try Program.run([
            "train", "kmeans", "--data", points, "--clusters", "2", "--iterations", "20", "--initial-centers", centers,
            "--device", "cpu", "--seed", "1", "--output", folder.path + "/segments.apus", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect(report["inertia"]?.number ?? 0 > 0 && report["iterations"]?.number ?? 0 >= 1)
        #expect(report["seconds"]?.object?["per_iteration"]?.array?.isEmpty == false)
        let assigned = try Program.run([
            "predict", "--model", folder.path + "/segments.apus", "--data", points, "--device", "cpu", "--json",
        ])
        #expect(try JSONText.object(in: assigned.output)["rows"]?.number == 60)
        let narrow = Self.npy(folder, "narrow.npy", [[1, 2], [3, 4]])
        let wrong = try Program.run([
            "predict", "--model", folder.path + "/segments.apus", "--data", narrow, "--device", "cpu",
        ])
        #expect(wrong.code == 65 && wrong.errors.contains("40"), "\(wrong.errors)")
    }

    /// One clear message each, on the error stream, and nothing written.
    @Test(arguments: [
        (["train", "kmeans", "--clusters", "0"], 64, "clusters"),
        (["train", "kmeans", "--clusters", "61"], 65, "60 points can't form 61 clusters"),
        (["train", "kmeans", "--clusters", "3", "--initial-centers", "NARROW"], 65, "3 × 40 are needed"),
        (["train", "dbscan", "--radius", "0"], 64, "radius"), (["train", "dbscan", "--radius", "-1"], 64, "radius"),
    ])
    func mistakesOfTrainings(_ arguments: [String], _ code: Int, _ words: String) throws {
        let folder = TemporaryFolder()
        let points = Self.points(folder)
        let narrow = Self.npy(folder, "narrow.npy", [[1, 2], [3, 4], [5, 6]])
        let given = arguments.map { $0 == "NARROW" ? narrow : $0 }
        let result = try Program.run(
            given + ["--data", points, "--device", "cpu", "--output", folder.path + "/m.apus"])
        #expect(
            result.code == Int32(code) && result.output.isEmpty && result.errors.contains(words), "\(result.errors)")
        #expect(!folder.names.contains("m.apus"))
    }

    @Test func valuesThatAreNone() throws {
        let folder = TemporaryFolder()
        let holes = Self.npy(folder, "holes.npy", [[1, 2], [3, .nan], [4, 5]])
        for kind in [["kmeans", "--clusters", "2"], ["dbscan", "--radius", "1"]] {
            let result = try Program.run(
                ["train"] + kind + ["--data", holes, "--device", "cpu", "--output", folder.path + "/m.apus"])
            #expect(result.code == 65 && result.errors.contains("row 2"), "\(result.errors)")
        }
        // All points equal: one cluster of them all, the others empty, and a warning.
        let same = Self.npy(folder, "same.npy", [[Float]](repeating: [2, 2], count: 9))
        let equal = try Program.run([
            "train", "kmeans", "--data", same, "--clusters", "3", "--device", "cpu", "--output",
            folder.path + "/equal.apus", "--json",
        ])
        #expect(equal.code == 0 && equal.errors.contains("clusters are empty"), "\(equal.errors)")
        #expect(try JSONText.object(in: equal.output)["inertia"]?.number == 0)
    }

    @Test func dbscan() throws {
        let folder = TemporaryFolder()
        let points = Self.points(folder)
        let result = try Program.run([
            "train", "dbscan", "--data", points, "--radius", "15", "--minimum-points", "4", "--output",
            folder.path + "/density.apus", "--labels", folder.path + "/labels.csv", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        #expect(try JSONText.object(in: result.output)["clusters"]?.number == 3)
        #expect(TemporaryFolder.text(folder.path + "/labels.csv").split(separator: "\n").count == 61)
        let assigned = try Program.run([
            "predict", "--model", folder.path + "/density.apus", "--data", points, "--json",
        ])
        #expect(assigned.code == 0, "\(assigned.errors)")
    }

    @Test func segmentsOfCustomers() throws {
        let folder = TemporaryFolder()
        let data = Self.customers(folder)
        let result = try Program.run([
            "segment", "--data", data, "--id", "customer", "--clusters", "2...5", "--output", folder.path + "/s.csv",
            "--report", folder.path + "/s.html", "--plot", folder.path + "/s.svg", "--model", folder.path + "/s.apus",
            "--device", "cpu", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect(report["clusters"]?.number == 3)
        let segments = report["segments"]?.array ?? []
        #expect(segments.count == 3 && segments.allSatisfy { $0.object?["size"]?.number == 30 })
        #expect(segments.allSatisfy { $0.object?["name"]?.string?.isEmpty == false })
        let labels = TemporaryFolder.text(folder.path + "/s.csv").split(separator: "\n")
        #expect(labels.count == 91 && labels[0] == "id,cluster" && labels[1].hasPrefix("c0,"))
        #expect(TemporaryFolder.text(folder.path + "/s.svg").contains("</svg>"))
        #expect(TemporaryFolder.text(folder.path + "/s.html").contains("</html>"))
        let again = try Program.run([
            "segment", "--data", data, "--clusters", "3", "--like", folder.path + "/s.apus", "--seed", "9", "--output",
            folder.path + "/t.csv", "--device", "cpu", "--quiet",
        ])
        #expect(again.code == 0, "\(again.errors)")
        #expect(TemporaryFolder.text(folder.path + "/t.csv") == TemporaryFolder.text(folder.path + "/s.csv"))
        let few = try Program.run(["segment", "--data", data, "--clusters", "91", "--device", "cpu"])
        #expect(few.code == 65 && few.errors.contains("90 points can't form 91 clusters"), "\(few.errors)")
        for wrong in ["0", "5...2", "many"] {
            let outcome = try Program.run(["segment", "--data", data, "--clusters", wrong, "--device", "cpu"])
            #expect(outcome.code == 64, "\(wrong)")
        }
        #expect(try Program.run(["segment", "--help"]).output.contains("default: 2...10"))
    }

    @Test func segmentsOfPurchases() throws {
        let folder = TemporaryFolder()
        var text = "customer,date,order,amount\n"
        for i in 0..<60 {
            for order in 0..<(i % 2 == 0 ? 1 : 6) {
                text += "c\(i),2024-0\(1 + order)-1\(i % 9),\(i)-\(order),\(i % 2 == 0 ? 5 : 80)\n"
            }
        }
        let path = folder.write("orders.csv", text)
        let bad = folder.write("bad.csv", text + "c1,2024-01-01\n")
        let run = ["segment", "--rfm", "--clusters", "2", "--as-of", "2024-12-31", "--device", "cpu", "--json"]
        let result = try Program.run(run + ["--interactions", path])
        #expect(result.code == 0, "\(result.errors)")
        let segments = try JSONText.object(in: result.output)["segments"]?.array ?? []
        #expect(segments.compactMap { $0.object?["revenue_share"]?.number }.reduce(0, +) > 0.999)
        #expect(try Program.run(run + ["--interactions", bad]).code == 65)
        let skipped = try Program.run(run + ["--interactions", bad, "--on-bad-row", "skip"])
        #expect(skipped.code == 0 && skipped.errors.contains("1"), "\(skipped.errors)")
        #expect(try Program.run(["segment", "--interactions", path]).code == 64)
        #expect(try Program.run(run.map { $0 == "2024-12-31" ? "soon" : $0 } + ["--interactions", path]).code == 64)
    }

    @Test func numbersOfClusters() throws {
        let folder = TemporaryFolder()
        let result = try Program.run([
            "choose-clusters", "--data", Self.customers(folder), "--clusters", "2...5", "--device", "cpu", "--report",
            folder.path + "/choice.html", "--json",
        ])
        #expect(result.code == 0, "\(result.errors)")
        let report = try JSONText.object(in: result.output)
        #expect(report["best"]?.number == 3 && report["candidates"]?.array?.count == 4)
        #expect(folder.names.contains("choice.html"))
    }

    @Test func lookalikes() throws {
        let folder = TemporaryFolder()
        let data = Self.customers(folder)
        let run = ["lookalike", "--data", data, "--id", "customer", "--device", "cpu"]
        let result = try Program.run(run + ["--seeds", "c1,c4,c7", "--count", "20", "--json"])
        #expect(result.code == 0, "\(result.errors)")
        let found = try JSONText.object(in: result.output)["customers"]?.array ?? []
        let names = found.compactMap { $0.object?["customer"]?.string }
        #expect(names.count == 20 && Set(names).isDisjoint(with: ["c1", "c4", "c7"]))
        #expect(names.allSatisfy { (Int($0.dropFirst()) ?? 0) % 3 == 1 })
        let unknown = try Program.run(run + ["--seeds", "c1,nobody"])
        #expect(unknown.code == 65 && unknown.errors.contains("nobody"), "\(unknown.errors)")
        let skipped = try Program.run(run + ["--seeds", "c1,nobody", "--on-unknown", "skip", "--count", "2"])
        #expect(skipped.code == 0 && skipped.errors.contains("1 of 2"), "\(skipped.errors)")
        #expect(try Program.run(run + ["--seeds", "nobody", "--on-unknown", "skip"]).code == 65)
    }

    @Test func indices() throws {
        let folder = TemporaryFolder()
        let vectors = Self.points(folder, "vectors.npy", 300)
        let queries = Self.points(folder, "queries.npy", 4)
        let ids = folder.write("ids.txt", (0..<300).map { "v\($0)\n" }.joined())
        let index = folder.path + "/vectors.index"
        let made = try Program.run([
            "index", "--vectors", vectors, "--ids", ids, "--similarity", "euclidean", "--approximate", "--output",
            index,
            "--json",
        ])
        #expect(made.code == 0, "\(made.errors)")
        let facts = try JSONText.object(in: made.output)
        #expect(facts["rows"]?.number == 300 && facts["recall"]?.number ?? 0 > 0.8)
        for mode in [[], ["--exact"], ["--width", "200"]] {
            let found = try Program.run(
                ["similar", "--index", index, "--queries", queries, "--count", "3", "--device", "cpu", "--json"] + mode)
            #expect(found.code == 0, "\(found.errors)")
            let answer = try JSONText.object(in: found.output)
            #expect(answer["search"]?.string == (mode == ["--exact"] ? "exact" : "graph"))
            #expect((answer["recall"]?.number ?? 0 > 0.9) == (mode != ["--exact"]))
            let first = answer["similar"]?.array?.first?.object?["matches"]?.array?.first?.object
            #expect(first?["distance"]?.number == 0)
        }
        let removed = try Program.run(["index", "--index", index, "--remove", "v0,v105"])
        #expect(removed.code == 0 && removed.output.contains("298 vectors"), "\(removed.errors)\(removed.output)")
        #expect(try Program.run(["index", "--index", index, "--remove", "v0"]).code == 65)
        let plain = try Program.run([
            "similar", "--vectors", vectors, "--queries", queries, "--count", "2", "--device", "cpu", "--approximate",
            "--json",
        ])
        let rounded = try JSONText.object(in: plain.output)
        #expect(rounded["search"]?.string == "rounded" && rounded["recall"]?.number ?? 0 > 0.9)
        // Queries of another length, a similarity that vectors don't have, and one that the index was not made for.
        let narrow = Self.npy(folder, "narrow.npy", [[1, 2]])
        let wrong = try Program.run(["similar", "--index", index, "--queries", narrow, "--device", "cpu"])
        #expect(wrong.code == 65 && wrong.errors.contains("40"), "\(wrong.errors)")
        #expect(try Program.run(["similar", "--vectors", vectors, "--similarity", "jaccard"]).code == 64)
        #expect(try Program.run(["similar", "--index", index, "--similarity", "cosine", "--device", "cpu"]).code == 65)
        #expect(try Program.run(["similar", "--vectors", vectors, "--width", "9"]).code == 64)
        #expect(try Program.run(["index", "--vectors", vectors, "--output", index, "--links", "1"]).code == 64)
    }
}
