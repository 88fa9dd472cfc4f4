import Compute
import Conformance
import Testing

#if canImport(Glibc)
    import Glibc
#endif

/// A device as an argument of a test.
struct TestDevice: Sendable, CustomTestStringConvertible {
    let label: String
    let device: any Device

    var testDescription: String { label }

    /// The oracle, which checks the suite itself, and every device found, with the kernels of every class.
    static let all: [TestDevice] = [TestDevice(label: "oracle", device: OracleDevice())] + found

    static let found: [TestDevice] = []
}

/// Whether a variable is set in the environment.
func environment(_ name: String) -> String? {
    getenv(name).map { String(cString: $0) }
}

/// What `body` throws; records an issue when it throws nothing.
func computeError(
    sourceLocation: SourceLocation = #_sourceLocation, _ body: () throws(ComputeError) -> Void
) -> ComputeError? {
    do throws(ComputeError) {
        try body()
    } catch {
        return error
    }
    Issue.record("nothing was thrown", sourceLocation: sourceLocation)
    return nil
}
