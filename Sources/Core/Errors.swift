/// Wrong or unusable input data: a file, a row, a field. The command exits with 65.
public struct DataError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong and what to do about it, in one sentence.
    public let reason: String
    /// The file, `-` for standard input, or nil when no file is concerned.
    public let file: String?
    /// Line, counted from 1.
    public let line: Int?
    /// Column of the table: its name, or its position counted from 1.
    public let column: String?

    public init(_ reason: String, file: String? = nil, line: Int? = nil, column: String? = nil) {
        self.reason = reason
        self.file = file
        self.line = line
        self.column = column
    }

    public var description: String {
        var place: [String] = []
        if let file { place.append(file == "-" ? "standard input" : file) }
        if let line { place.append("line \(line)") }
        if let column { place.append("column \(column)") }
        return place.isEmpty ? reason : "\(place.joined(separator: ", ")): \(reason)"
    }
}

/// A value outside the range that a parameter allows. The command exits with 64.
public struct ParameterError: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name of the parameter as the library spells it.
    public let parameter: String
    /// What is wrong and which values are allowed.
    public let reason: String

    public init(_ parameter: String, _ reason: String) {
        self.parameter = parameter
        self.reason = reason
    }

    public var description: String { "\(parameter): \(reason)" }
}

/// A failure of the system: a file that can't be opened or written, a full disk. The command exits with 1.
public struct SystemError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What was attempted, `write` or `open` for example.
    public let operation: String
    /// The file or other object concerned.
    public let object: String
    /// What went wrong, in the system's words.
    public let reason: String

    public init(operation: String, object: String, reason: String) {
        self.operation = operation
        self.object = object
        self.reason = reason
    }

    public var description: String { "\(object): \(operation) failed: \(reason)" }
}
