import Compute
import Conformance
import Testing

@Suite("Conformance") struct ConformanceTests {
    /// `APUS_SWEEP` chooses the shapes; the full sweep is the default.
    static let sweep = environment("APUS_SWEEP").flatMap(Sweep.init) ?? .full
    static let suite = ConformanceSuite(sweep)
    /// The oracle only shows that the suite is right, which takes no large shapes; it is the slowest device of all.
    static let oracleSuite = ConformanceSuite(sweep == .full ? .reduced : sweep)

    /// `APUS_TEST_OPERATIONS` chooses among the operations, separated by commas, or leaves out those with a minus before
    /// their names; all is the default.
    static let operations: [OperationKind] = {
        let named = environment("APUS_TEST_OPERATIONS")?.split(separator: ",").map(String.init) ?? []
        let chosen = named.filter { !$0.hasPrefix("-") }
        return OperationKind.allCases.filter {
            (chosen.isEmpty || chosen.contains($0.rawValue)) && !named.contains("-\($0.rawValue)")
        }
    }()

    /// `APUS_TEST_ONE_THREAD` set to 1 keeps the devices to the thread that opened them.
    static let onOneThread = environment("APUS_TEST_ONE_THREAD") == "1"

    @Test("Every case of every operation on every device", arguments: TestDevice.all, operations)
    func conforms(_ target: TestDevice, _ operation: OperationKind) throws {
        let isOracle = target.device.identity.backend == OracleDevice().identity.backend
        let cases = (isOracle ? Self.oracleSuite : Self.suite).cases(of: operation)
        #expect(!cases.isEmpty)
        let run = { () throws in
            let stream = try target.device.makeStream()
            return cases.map { ($0, $0.run(on: stream)) }
        }
        var refused: [String: Int] = [:]
        for (one, result) in try Self.onOneThread ? SingleThread.shared.run(run) : run() {
            switch result.outcome {
            case .passed: break
            case .failed: Issue.record("\(target.label): \(one): \(result.message)")
            case .unsupported: refused[result.message, default: 0] += 1
            }
        }
        // A device may refuse an operation, but must say so beforehand.
        if target.device.unsupportedOperations[operation] == nil {
            for (reason, count) in refused {
                Issue.record("\(target.label): \(operation): refused \(count) of \(cases.count) cases: \(reason)")
            }
        }
    }

    @Test("Plans replay without growing the memory of the device", arguments: TestDevice.all)
    func replaysInPlace(_ target: TestDevice) throws {
        // Opened once more: the other tests run at the same time.
        let certificate = try ConformanceSuite(.minimal).run(on: try target.open(), deviceIsIdle: true)
        let unsupported = Set(target.device.unsupportedOperations.keys.map(\.rawValue))
        for record in certificate.operations where !unsupported.contains(record.operation) {
            #expect(record.passed, "\(target.label): \(record.reason ?? "")")
        }
    }

    @Test func everyDeviceFoundOpens() {
        #expect(TestDeviceList.found.failures.isEmpty)
    }

    @Test func openCLIsThereWhereItIsRequired() {
        let found = TestDeviceList.found.devices.contains { $0.device.identity.backend == "OpenCL" }
        #expect(found || !requiresOpenCL, "no OpenCL device was found; install pocl-opencl-icd")
    }

    @Test func suitesNestAndNamesAreUnique() {
        for sweep in Sweep.allCases {
            let suite = ConformanceSuite(sweep)
            #expect(Set(suite.cases.map(\.name)).count == suite.cases.count)
            for operation in OperationKind.allCases {
                #expect(!suite.cases(of: operation).isEmpty, "\(sweep) \(operation)")
            }
        }
        #expect(ConformanceSuite.minimal.cases.count < ConformanceSuite.reduced.cases.count)
        #expect(ConformanceSuite.reduced.cases.count < ConformanceSuite.full.cases.count)
    }

    @Test func certificateTellsWhatPassed() throws {
        var reported = 0
        let certificate = try ConformanceSuite.minimal.run(on: OracleDevice()) { _, completed, total in
            reported += 1
            #expect(completed == reported && completed <= total)
            return .proceed
        }
        #expect(reported == ConformanceSuite.minimal.cases.count)
        #expect(certificate.passed && certificate.unsupportedOperations.isEmpty)
        #expect(certificate.operations.map(\.operation) == OperationKind.allCases.map(\.rawValue))
        #expect(certificate.operations.allSatisfy { $0.cases > 0 && $0.worstDeviationOverTolerance <= 1 })
        #expect(certificate.covers(OracleDevice(name: "under another name").identity))
        #expect(certificate.date.count == 20 && certificate.date.hasSuffix("Z"))
    }

    @Test func certificateRefusesWhatFailed() throws {
        let device = OracleDevice(unsupportedOperations: [.gram: "for the test"])
        let certificate = try ConformanceSuite.minimal.run(on: device, operations: [.gram, .fill])
        #expect(!certificate.passed)
        #expect(certificate.operations.map(\.operation) == ["fill", "gram"])
        let refused = certificate.unsupportedOperations
        #expect(Set(refused.keys) == [.gram])
        #expect(refused[.gram]?.contains("for the test") == true)
    }

    @Test func aRunCanBeStopped() throws {
        let certificate = try ConformanceSuite.minimal.run(on: OracleDevice()) { _, completed, _ in
            completed == 3 ? .stop : .proceed
        }
        #expect(certificate.operations.map(\.cases) == [3])
    }
}
