import Compute
import Conformance
import Testing

/// The suite is worth nothing unless it fails: here it must, on devices with planted faults.
@Suite("The suite notices") struct SensitivityTests {
    @Test("planted faults in every operation", arguments: SabotagedDevice.Fault.allCases, OperationKind.allCases)
    func notices(_ fault: SabotagedDevice.Fault, _ operation: OperationKind) throws {
        // These two have no input to change.
        if fault == .changesAnInput && (operation == .fill || operation == .randomUniform) { return }
        // Outputs of one row have no gaps.
        let oneRow: Set<OperationKind> = [
            .columnSums, .rowNorms, .residualTargets, .observedLoss, .observedScores, .addToTotal, .optimizerStep,
            .perceptronSteps,
        ]
        if fault == .writesIntoTheGap && oneRow.contains(operation) { return }
        let stream = try SabotagedDevice(fault).makeStream()
        let results = ConformanceSuite.minimal.cases(of: operation).map { $0.run(on: stream) }
        #expect(results.contains { $0.outcome == .failed && !$0.message.isEmpty })
    }

    @Test func valuesThatAreOffByMoreThanRounding() throws {
        let cases = ConformanceSuite.minimal.cases(of: .gemm)
        let stream = try SabotagedDevice(.inexact).makeStream()
        #expect(cases.allSatisfy { !$0.run(on: stream).passed })
    }
}
