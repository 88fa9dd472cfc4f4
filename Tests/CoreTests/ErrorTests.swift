import Core
import Testing

@Suite("Errors") struct ErrorTests {
    @Test func dataErrorsNameTheirPlace() {
        #expect("\(DataError("no rows"))" == "no rows")
        #expect(
            "\(DataError("not a number", file: "a.csv", line: 3, column: "rating"))"
                == "a.csv, line 3, column rating: not a number")
        #expect("\(DataError("cut short", file: "-"))" == "standard input: cut short")
        #expect("\(DataError("cut short", line: 9))" == "line 9: cut short")
    }

    @Test func parameterErrorsNameTheParameter() {
        #expect("\(ParameterError("factors", "0 is below 1"))" == "factors: 0 is below 1")
    }

    @Test func systemErrorsNameTheObject() {
        let error = SystemError(operation: "open", object: "a.csv", reason: "no such file")
        #expect("\(error)" == "a.csv: open failed: no such file")
    }
}
