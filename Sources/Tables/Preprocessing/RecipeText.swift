import Core
import Yams

extension Recipe {
    /// A recipe from YAML: `steps`, a list of steps by name, each with its parameters.
    ///
    ///     steps:
    ///       - drop: [customerID]
    ///       - impute: {columns: numbers, with: median, indicator: true}
    ///       - scale: {columns: numbers, with: standard}
    ///       - one-hot: {columns: categories}
    ///
    /// - Throws: ``Core/DataError`` for text that is no recipe.
    public init(yaml: String, path: String? = nil) throws {
        do {
            self = try YAMLDecoder().decode(Recipe.self, from: yaml)
        } catch let error as DataError {
            throw DataError(error.reason, file: path)
        } catch let error as DecodingError {
            throw DataError("this is no recipe: \(Recipe.words(error))", file: path)
        } catch {
            throw DataError("this is no YAML: \(error)", file: path)
        }
    }

    /// A recipe from a file.
    public init(path: String) throws {
        let source = try FileSource(path: path)
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let count = try bytes.withUnsafeMutableBytes { try source.fill($0) }
        guard count < bytes.count else { throw DataError("a recipe is not that long", file: path) }
        try self.init(yaml: String(decoding: bytes[..<count], as: UTF8.self), path: path)
    }

    /// The recipe as YAML, which reads back as the same recipe.
    public var yaml: String {
        // A recipe holds nothing that YAML can't write.
        (try? YAMLEncoder().encode(self)) ?? ""
    }

    private static func words(_ error: DecodingError) -> String {
        func place(_ context: DecodingError.Context) -> String {
            context.codingPath.map { $0.intValue.map { "\($0 + 1)" } ?? $0.stringValue }.joined(separator: " → ")
        }
        switch error {
        case .keyNotFound(let key, let context): return "'\(key.stringValue)' is missing at \(place(context))"
        case .typeMismatch(_, let context), .valueNotFound(_, let context):
            return "\(place(context)): \(context.debugDescription)"
        case .dataCorrupted(let context): return "\(place(context)): \(context.debugDescription)"
        @unknown default: return "\(error)"
        }
    }
}
