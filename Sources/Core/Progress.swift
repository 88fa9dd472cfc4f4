/// What a progress callback tells a training run to do.
public enum ProgressDecision: Sendable {
    /// Go on.
    case proceed
    /// Stop at the next safe point; the run hands back what it needs to be resumed.
    case stop
}

/// One report of a long-running operation.
public struct ProgressReport: Sendable {
    /// What is being done: "read", "train", "evaluate", …
    public let phase: String
    /// Units of work completed (iterations, rows, bytes; see `unit`).
    public let completed: Int
    /// Units of work in all; nil when unknown.
    public let total: Int?
    /// Name of the unit, in the plural: "iterations".
    public let unit: String
    /// Seconds since the operation began.
    public let elapsedSeconds: Double
    /// Figures worth showing, in order, such as ("loss", 0.42).
    public let figures: [(name: String, value: Double)]

    public init(
        phase: String, completed: Int, total: Int?, unit: String, elapsedSeconds: Double,
        figures: [(name: String, value: Double)] = []
    ) {
        self.phase = phase
        self.completed = completed
        self.total = total
        self.unit = unit
        self.elapsedSeconds = elapsedSeconds
        self.figures = figures
    }
}

/// Called on the thread that does the work, between steps; it should return at once.
public typealias ProgressHandler = (ProgressReport) -> ProgressDecision
