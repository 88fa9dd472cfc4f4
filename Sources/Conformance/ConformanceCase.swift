import Compute

/// One operation with one set of arguments: how to build its inputs, run it, and judge what came back.
///
/// One definition serves correctness (``ConformanceResult/outcome``), speed (``ConformanceResult/seconds`` and
/// ``ConformanceResult/work``) and support (`.unsupported`).
public struct ConformanceCase: Sendable, CustomStringConvertible {
    /// The operation with its shape and arguments; unique within a suite, and the seed of the case's random numbers.
    public let name: String
    /// The primitive under test.
    public let operation: OperationKind
    let body: @Sendable (CaseRun) throws(ComputeError) -> Void

    init(
        _ operation: OperationKind, _ detail: String,
        _ body: @escaping @Sendable (CaseRun) throws(ComputeError) -> Void
    ) {
        self.operation = operation
        self.name = "\(operation.rawValue) \(detail)"
        self.body = body
    }

    public var description: String { name }

    /// Runs the case: builds inputs, executes directly and as a recorded plan, downloads, compares. Never throws: what
    /// a device throws becomes the result's message.
    ///
    /// - Parameters:
    ///   - stream: where to run it.
    ///   - deviceIsIdle: whether nobody else uses the device, so that its allocations can be watched too.
    public func run(on stream: Stream, deviceIsIdle: Bool = false) -> ConformanceResult {
        let run = CaseRun(stream: stream, name: name, deviceIsIdle: deviceIsIdle)
        var outcome = ConformanceOutcome.passed
        do throws(ComputeError) {
            try body(run)
        } catch {
            if case .unsupported(_, _, let reason) = error {
                return ConformanceResult(name: name, operation: operation, outcome: .unsupported, message: reason)
            }
            run.fail("threw \(error)")
        }
        if !run.failures.isEmpty || !(run.worst.ratio <= 1) { outcome = .failed }
        var messages = run.failures
        if !(run.worst.ratio <= 1) { messages.insert(run.worst.message, at: 0) }
        return ConformanceResult(
            name: name, operation: operation, outcome: outcome, maximumDeviation: run.worst.deviation,
            tolerance: run.worst.tolerance, ratio: run.worst.ratio, seconds: run.seconds.isFinite ? run.seconds : 0,
            work: run.work,
            message: messages.joined(separator: "; "))
    }
}

/// How a case ended.
public enum ConformanceOutcome: String, Sendable, Codable {
    case passed, failed, unsupported
}

/// What a device did with a case.
public struct ConformanceResult: Sendable {
    /// Name of the case.
    public let name: String
    /// The primitive under test.
    public let operation: OperationKind
    public let outcome: ConformanceOutcome
    /// Difference from the oracle at the element where it is largest in relation to its tolerance.
    public let maximumDeviation: Double
    /// The tolerance of that element; 0 where results must be exact.
    public let tolerance: Double
    /// The former over the latter; at most 1 when the case passed.
    public let ratio: Double
    /// Seconds of the faster of two executions, waiting for their end included.
    public let seconds: Double
    /// Floating-point operations, or bytes moved where there are none to speak of.
    public let work: Double
    /// What went wrong; empty when the case passed.
    public let message: String

    public init(
        name: String, operation: OperationKind, outcome: ConformanceOutcome, maximumDeviation: Double = 0,
        tolerance: Double = 0, ratio: Double = 0, seconds: Double = 0, work: Double = 0, message: String = ""
    ) {
        self.name = name
        self.operation = operation
        self.outcome = outcome
        self.maximumDeviation = maximumDeviation
        self.tolerance = tolerance
        self.ratio = ratio
        self.seconds = seconds
        self.work = work
        self.message = message
    }

    public var passed: Bool { outcome == .passed }
}
