import Core
import Devices
import Learners
import Tables

/// `apus predict` for models of clusters: where new rows belong.
struct ClusterPrediction {
    let modelPath: String
    let data: ModelDataFlags
    let identifier: String?
    let output: String?
    let device: DeviceOption
    let global: GlobalOptions

    func run() throws {
        if let output { try OutputFolder.check(output) }
        let dataPath = data.data ?? ""
        var options = TableReadOptions()
        options.delimiter = data.delimiter == "\\t" ? "\t" : data.delimiter
        options.types = try TableFlags.types(data.types)
        let input: PointsInput
        let labels: [Int32]
        var distances: [Float]?
        var names: [String] = []
        if try SafetensorsFile(path: modelPath).metadata["apus_kind"] == DensityModel.kind {
            let model = try DensityModel(path: modelPath)
            input = try PointsInput.read(dataPath, recipe: model.recipe, options: options, identifier: identifier)
            labels = try SimilarVectorFlags.about(dataPath) { try model.assign(input.matrix) }
        } else {
            let model = try SegmentModel(path: modelPath)
            input = try PointsInput.read(dataPath, recipe: model.recipe, options: options, identifier: identifier)
            names = model.segmentNames
            let stream = try device.open(global).makeStream()
            let assigned = try SimilarVectorFlags.about(dataPath) { try model.assign(input.matrix, stream: stream) }
            (labels, distances) = (assigned.labels, assigned.distances)
        }
        func fields(_ row: Int) -> [String] {
            let label = Int(labels[row])
            return [input.name(row), String(label)]
                + (names.indices.contains(label) ? [names[label]] : names.isEmpty ? [] : [""])
                + (distances.map { ["\($0[row])"] } ?? [])
        }
        let header =
            [input.identifiers == nil ? "row" : "id", "cluster"] + (names.isEmpty ? [] : ["name"])
            + (distances == nil ? [] : ["distance"])
        if let output {
            if output.hasSuffix(".npy") {
                try NumPyFile.write(labels, to: output)
            } else {
                let file = try AtomicFile(path: output)
                try file.write(CSV.row(header))
                for row in labels.indices { try file.write(CSV.row(fields(row))) }
                try file.commit()
            }
        }
        var sizes: [Int32: Int] = [:]
        for label in labels { sizes[label, default: 0] += 1 }
        if global.json {
            Output.json(
                .object([
                    ("model", .string(modelPath)), ("rows", .integer(labels.count)), ("output", .optional(output)),
                    ("sizes", .object(sizes.sorted { $0.key < $1.key }.map { (String($0.key), .integer($0.value)) })),
                    (
                        "predictions",
                        output != nil
                            ? .null
                            : .array(
                                labels.indices.map { row in
                                    .object(
                                        [("id", .string(input.name(row))), ("cluster", .integer(Int(labels[row])))]
                                            + (distances.map { [("distance", .number(Double($0[row])))] } ?? []))
                                })
                    ),
                ]))
        } else if output != nil {
            Output.line("\(output ?? ""): \(labels.count) rows in \(sizes.count) clusters")
        } else {
            Output.line(CSV.row(header).trimmingSuffix("\n"))
            for row in labels.indices { Output.line(CSV.row(fields(row)).trimmingSuffix("\n")) }
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(_ suffix: String) -> String {
        hasSuffix(suffix) ? String(dropLast(suffix.count)) : self
    }
}
