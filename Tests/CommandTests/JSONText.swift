import FoundationEssentials
import Testing

/// JSON as a script would read it.
indirect enum JSONText: Decodable, Equatable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([JSONText])
    case object([String: JSONText])

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if container.decodeNil() {
            self = .null
        } else if let value = try? container.decode(Bool.self) {
            self = .bool(value)
        } else if let value = try? container.decode(Double.self) {
            self = .number(value)
        } else if let value = try? container.decode(String.self) {
            self = .string(value)
        } else if let value = try? container.decode([JSONText].self) {
            self = .array(value)
        } else {
            self = .object(try container.decode([String: JSONText].self))
        }
    }

    /// Reads what must be one JSON object and nothing else.
    static func object(in output: String) throws -> [String: JSONText] {
        let value = try JSONDecoder().decode(JSONText.self, from: Data(output.utf8))
        guard case .object(let members) = value else {
            Issue.record("standard output is not a JSON object: \(output.prefix(200))")
            return [:]
        }
        return members
    }

    var number: Double? { if case .number(let value) = self { value } else { nil } }
    var string: String? { if case .string(let value) = self { value } else { nil } }
    var array: [JSONText]? { if case .array(let value) = self { value } else { nil } }
    var object: [String: JSONText]? { if case .object(let value) = self { value } else { nil } }
}
