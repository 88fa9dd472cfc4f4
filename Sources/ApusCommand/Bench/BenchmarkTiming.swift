import ArgumentParser
import Core
import Foundation

/// Times of equal runs.
struct Samples {
    /// In the order in which they were taken.
    let all: [Double]
    private let sorted: [Double]

    /// At least one time, in seconds.
    init(_ seconds: [Double]) {
        precondition(!seconds.isEmpty)
        all = seconds
        sorted = seconds.sorted()
    }

    var count: Int { sorted.count }
    var median: Double { quantile(0.5) }
    var quartiles: [Double] { [quantile(0.25), quantile(0.75)] }

    /// Interpolated between the two nearest.
    private func quantile(_ share: Double) -> Double {
        let place = share * Double(sorted.count - 1)
        let low = Int(place)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (place - Double(low)) * (sorted[high] - sorted[low])
    }
}

/// How runs are timed.
enum BenchmarkTiming {
    /// A run that takes longer is repeated less often.
    private static let longRunSeconds = 5.0
    private static let runsOfLong = 3

    /// Seconds of one call.
    static func seconds(_ body: () throws -> Void) throws -> Double {
        let start = monotonicSeconds()
        try body()
        return monotonicSeconds() - start
    }

    /// The shortest of several calls: for the limits of a machine, which noise can only hide.
    static func best(of count: Int, _ body: () throws -> Void) throws -> Double {
        var best = Double.infinity
        for _ in 0..<count {
            try Interruption.check()
            best = min(best, try seconds(body))
        }
        return best
    }

    /// Times bodies that do the same on different devices. They take turns, so that a disturbance of the machine hits
    /// all of them alike. Each answers the seconds of one run. With `--paced` another program takes its turns as well.
    static func takingTurns(_ flags: BenchmarkFlags, _ bodies: [() throws -> Double]) throws -> [Samples] {
        var times = [[Double]](repeating: [], count: bodies.count)
        rounds: for run in 0..<flags.runs {
            for (place, body) in bodies.enumerated() {
                if run >= runsOfLong, times[place][0] > longRunSeconds, !flags.paced { continue }
                try Interruption.check()
                if flags.paced, !Pace.wait(place) {
                    guard run > 0 else { throw ValidationError("--paced: standard input ended before the first run") }
                    break rounds
                }
                let seconds = try body()
                if flags.paced { Pace.report(place, seconds) }
                times[place].append(seconds)
            }
        }
        return times.map { Samples($0) }
    }
}

/// The conversation of `--paced` by which another program and this one take turns: `ready N` when the run on the N-th
/// device can begin, a line on standard input to begin it, `seconds N S` when it is done. The end of standard input
/// ends the runs before their number is full.
private enum Pace {
    static func wait(_ place: Int) -> Bool {
        Output.line("ready \(place)")
        Output.finish()
        guard readLine() != nil else { return false }
        // The other program is about to wait for the answer. Threads that are woken before it sleeps may be put beside
        // each other on the one processor that it leaves, and stay there for milliseconds.
        Thread.sleep(forTimeInterval: 0.002)
        return true
    }

    static func report(_ place: Int, _ seconds: Double) {
        Output.line("seconds \(place) \(seconds)")
        Output.finish()
    }
}
