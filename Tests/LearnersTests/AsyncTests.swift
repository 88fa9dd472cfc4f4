import Compute
import Core
import Learners
import Synchronization
import Tables
import Testing

/// A number that several threads raise.
private final class Counter: Sendable {
    private let number = Atomic(0)
    var value: Int { number.load(ordering: .acquiring) }
    func raise() { number.wrappingAdd(1, ordering: .acquiringAndReleasing) }
}

/// Training in a service.
@Suite struct AsyncTests {
    private func options(iterations: Int) -> RecommenderTrainingOptions {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 8
        options.factorization.iterations = iterations
        return options
    }

    @Test(arguments: TestDevices.names)
    func progressIsReported(device: String) async throws {
        let interactions = try shop()
        let device = try #require(TestDevices.all.first { $0.identity.name == device })
        let reports = Mutex<[Int]>([])
        let result = try await RecommenderTraining.train(
            interactions, options: options(iterations: 5), on: device
        ) { report in
            #expect(report.total == 5 && report.unit == "iterations")
            reports.withLock { $0.append(report.completed) }
            return .proceed
        }
        #expect(reports.withLock { $0 } == [1, 2, 3, 4, 5])
        let direct = try RecommenderTraining(
            interactions: interactions, options: options(iterations: 5), stream: try device.makeStream()
        ).run()
        #expect(result.model.factors!.items.isIdentical(to: direct.model.factors!.items))
    }

    @Test func cancellingGivesACheckpoint() async throws {
        let interactions = try shop()
        let device = try #require(TestDevices.all.first)
        let many = 100_000
        let (started, signal) = AsyncStream.makeStream(of: Void.self)
        let task = Task {
            try await RecommenderTraining.train(interactions, options: options(iterations: many), on: device) { _ in
                signal.yield()
                return .proceed
            }
        }
        for await _ in started { break }
        task.cancel()
        var checkpoint: FactorizationCheckpoint?
        do {
            _ = try await task.value
            Issue.record("the training was not cancelled")
        } catch let interruption as InterruptedTraining { checkpoint = interruption.checkpoint }
        let state = try #require(checkpoint)
        let done = state.history.iterations
        #expect(done >= 1 && done < many)
        let stream = try device.makeStream()
        let goal = options(iterations: done + 2)
        let resumed = try RecommenderTraining(interactions: interactions, options: goal, stream: stream).run(
            resuming: state)
        let whole = try RecommenderTraining(interactions: interactions, options: goal, stream: stream).run()
        #expect(resumed.history.iterations == done + 2)
        #expect(resumed.model.factors!.users.isIdentical(to: whole.model.factors!.users))
    }

    /// More trainings than cores, all waiting: a task on the cooperative threads still gets its turn.
    // Other tests may hold all cooperative threads for minutes: the limit only ends a deadlock.
    @Test(.timeLimit(.minutes(20)))
    func cooperativeThreadsStayFree() async throws {
        let interactions = try shop()
        let device = try #require(TestDevices.all.first)
        let release = CancellationFlag()
        let entered = Counter()
        let options = options(iterations: 1_000_000)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<16 {
                group.addTask {
                    do {
                        _ = try await RecommenderTraining.train(interactions, options: options, on: device) { report in
                            if report.completed == 1 { entered.raise() }
                            return release.decision
                        }
                    } catch is InterruptedTraining {}
                }
            }
            group.addTask {
                // Runs only if a thread is free while all sixteen train.
                while entered.value < 16 { try await Task.sleep(for: .milliseconds(1)) }
                release.cancel()
            }
            try await group.waitForAll()
        }
        #expect(entered.value == 16)
    }

    @Test func errorsComeThrough() async throws {
        var wrong = options(iterations: 1)
        wrong.factorization.factors = 0
        let interactions = try shop()
        let device = try #require(TestDevices.all.first)
        await #expect(throws: ParameterError.self) {
            try await RecommenderTraining.train(interactions, options: wrong, on: device)
        }
    }
}
