import Core

struct BenchmarkPlot {
    let records: [BenchmarkRecord]
    func write(to path: String) throws {
        let file = try AtomicFile(path: path)
        try file.write("<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n")
        try file.commit()
    }
}
