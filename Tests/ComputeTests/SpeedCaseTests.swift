import Compute
import ComputeCPU
import ComputeOpenCL
import Conformance
import Testing

@Suite("Speed cases") struct SpeedCaseTests {
    @Test func everyOperationHasOne() {
        let covered = Set(SpeedCase.all(.cpu).map(\.operation))
        #expect(OperationKind.allCases.filter { !covered.contains($0) } == [])
        for one in SpeedCase.all(.gpu) {
            #expect(one.bytes > 0 && one.operations >= 0, "\(one.operation) \(one.subject)")
        }
    }

    /// Their operands are accepted, and they end.
    @Test func theyRun() throws {
        for stream in [try CPUDevice(threads: 2).makeStream(), try OpenCLTestSupport.open().makeStream()] {
            for one in SpeedCase.all(.cpu) {
                let seconds = try one.medianSeconds(on: stream, runs: 1)
                #expect(seconds > 0, "\(one.operation) \(one.subject)")
            }
        }
    }
}
