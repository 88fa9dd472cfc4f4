import Core
import Tables

/// How a model came to be: stored in the model, printed by `inspect`.
public struct ModelProvenance: Codable, Sendable, Equatable {
    /// Version of the library that trained it.
    public var apusVersion = ApusVersion.current
    /// Seconds since 1970.
    public var createdAt: Int64 = 0
    /// Name, model and driver of the device that trained it.
    public var device = ""
    /// Threads of the device.
    public var threads = 0
    /// Iterations that the tables have behind them.
    public var iterations = 0
    /// How the data were divided for the evaluation; nil when there was none.
    public var split: SplitOptions?
    /// Whether the model was trained once more on everything after the evaluation.
    public var refitted = false
    /// Users and items that had interactions in the training, for the frequency # of folded-in rows.
    public var trainedUsers = 0
    public var trainedItems = 0
    /// Of the file and the options that it was read with.
    public var fingerprint: DataFingerprint?
    /// Figures on the held-out part, and those of the baselines.
    public var metrics: [String: MetricValue] = [:]
    public var baselines: [String: [String: MetricValue]] = [:]
    /// The flags of the command that made it, for `inspect` and for a repetition.
    public var configuration: [String: String] = [:]

    public init() {}
}

/// The version of the library.
public enum ApusVersion {
    public static let current = "0.1.0"
}
