import ArgumentParser
import Core
import Learners
import Tables

/// `apus export`
struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export", abstract: "Write a model's tables for other programs: .npy or CSV.",
        discussion: """
            Writes users and items into a folder: user_factors and item_factors as .npy (rows in the order of \
            users.csv and items.csv) or as CSV with the identifier in the first column.
            """)

    enum Format: String, ExpressibleByArgument, CaseIterable { case npy, csv, onnx, safetensors }

    @Option(help: "The model file.")
    var model: String
    @Option(help: "npy or csv for factors; onnx or safetensors (weights as a PyTorch state_dict) for networks.")
    var format = Format.npy
    @Option(help: "Folder to write into, which must exist; for networks the file.")
    var output: String
    @OptionGroup var global: GlobalOptions

    func run() throws {
        let kind = try SafetensorsFile(path: model).metadata["apus_kind"] ?? ""
        if TableModel.isTableKind(kind) { return try exportNetwork() }
        if format == .safetensors || format == .onnx,
            let network = try RecommenderModel(path: model).learned as? SequenceModel
        {
            return try exportSequence(network)
        }
        guard format == .npy || format == .csv else {
            throw ParameterError("format", "\(format.rawValue) is for networks; factors go to npy or csv")
        }
        try OutputFolder.check(output + "/x")
        let model = try RecommenderModel(path: model)
        guard let factors = model.factors else {
            throw DataError("a model of kind `\(model.kind)` has no factor tables to export", file: self.model)
        }
        var written: [String] = []
        for (side, table, names) in [
            ("user", factors.users, model.users), ("item", factors.items, model.items),
        ] {
            let path = "\(output)/\(side)_factors.\(format.rawValue)"
            switch format {
            case .npy:
                try writeArray(table, to: path)
                let list = "\(output)/\(side)s.csv"
                try writeRows(to: list, header: [side, "title"]) { row in
                    row < names.count
                        ? [names[row], side == "item" ? model.itemTitles?[row] ?? "" : ""] : nil
                }
                written.append(list)
            default:
                try writeRows(to: path, header: [side] + (0..<table.columns).map { "factor_\($0)" }) { row in
                    row < names.count ? [names[row]] + table.row(row).map { "\($0)" } : nil
                }
            }
            written.append(path)
        }
        if global.json {
            Output.json(.object([("files", .array(written.map { .string($0) }))]))
        } else {
            for path in written { Output.line(path) }
        }
    }

    private func exportSequence(_ network: SequenceModel) throws {
        try OutputFolder.check(output)
        if format == .onnx { try network.writeONNX(to: output) } else { try network.writeWeights(to: output) }
        if global.json {
            Output.json(.object([("files", .array([.string(output)]))]))
        } else {
            Output.line(output)
        }
    }

    private func exportNetwork() throws {
        try OutputFolder.check(output)
        let model = try TableModel(path: self.model)
        guard let network = model.pipeline.predictor as? NetworkPredictor else {
            throw DataError("the model holds no network", file: self.model)
        }
        switch format {
        case .onnx: try network.writeONNX(to: output, columns: model.pipeline.recipe.features.map(\.name))
        case .safetensors: try network.writeWeights(to: output)
        case .npy, .csv:
            throw ParameterError("format", "\(format.rawValue) is for factors; networks go to onnx or safetensors")
        }
        if global.json {
            Output.json(.object([("files", .array([.string(output)]))]))
        } else {
            Output.line(output)
        }
    }

    /// NumPy's format, version 1.0: magic, header of Python literals padded to 64 bytes, elements.
    private func writeArray(_ table: HostMatrix, to path: String) throws {
        var header = "{'descr': '<f4', 'fortran_order': False, 'shape': (\(table.rows), \(table.columns)), }"
        while (10 + header.utf8.count + 1) % 64 != 0 { header += " " }
        header += "\n"
        let length = header.utf8.count
        let file = try AtomicFile(path: path)
        try file.write([0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xFF), UInt8(length >> 8)])
        try file.write(header)
        try file.write(UnsafeRawBufferPointer(table.storage.elements))
        try file.commit()
    }

    private func writeRows(to path: String, header: [String], _ row: (Int) -> [String]?) throws {
        let file = try AtomicFile(path: path)
        try file.write(CSV.row(header))
        var index = 0
        while let fields = row(index) {
            try Interruption.check()
            try file.write(CSV.row(fields))
            index += 1
        }
        try file.commit()
    }
}
