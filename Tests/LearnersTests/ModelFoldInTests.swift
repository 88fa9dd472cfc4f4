import Core
import Learners
import Tables
import Testing

/// New interactions join a model without a training.
@Suite struct ModelFoldInTests {
    /// Two circles of customers who buy from two halves of the assortment.
    private func circles(users: Range<Int>, items: Int = 20, seed: UInt64 = 4) -> (users: [String], items: [String]) {
        let random = Philox(seed: seed, stream: 9)
        var result: (users: [String], items: [String]) = ([], [])
        for user in users {
            for item in 0..<items where item % 2 == user % 2 {
                if random.uniform(UInt64(user * items + item)) < 0.6 {
                    result.users.append("u\(user)")
                    result.items.append("i\(item)")
                }
            }
        }
        return result
    }

    private func model(_ device: String, feedback: Feedback = .implicit) throws -> RecommenderModel {
        var options = RecommenderTrainingOptions()
        options.factorization.factors = 4
        options.factorization.feedback = feedback
        let purchases = circles(users: 0..<200)
        let values = purchases.items.indices.map { Float(1 + $0 % 5) }
        let interactions = try Interactions(
            users: purchases.users, items: purchases.items, values: feedback == .explicit ? values : nil)
        return try RecommenderTraining(
            interactions: interactions, options: options, stream: try TestDevices.stream(device)
        ).run().model
    }

    @Test(arguments: TestDevices.names, Feedback.allCases)
    func whoIsNotConcernedStaysAsIs(device: String, feedback: Feedback) throws {
        let old = try model(device, feedback: feedback)
        let later = try Interactions(users: ["u3", "new", "new"], items: ["i5", "i5", "i7"], values: [2, 4, 5])
        let (new, counts) = try old.foldingIn(later, stream: try TestDevices.stream(device))
        #expect(counts.newUsers == 1 && counts.newItems == 0 && counts.updatedUsers == 1)
        #expect(new.users.count == old.users.count + 1 && new.factors!.items.isIdentical(to: old.factors!.items))
        let changed = try #require(old.users.index(of: "u3"))
        for user in 0..<old.users.count {
            let same = old.factors!.users.row(user).elementsEqual(new.factors!.users.row(user))
            #expect(same == (user != changed), "user \(user)")
        }
        // The new row is that of an exact solve of its history.
        let recommender = try FactorizationRecommender(
            factors: old.factors!, itemCounts: old.itemCounts,
            userDegrees: (0..<old.seen.rows).map { old.seen.range(ofRow: $0).count },
            stream: try TestDevices.stream(device))
        let row = Int32(old.users.count)
        let solved = try recommender.foldInUsers(new.seen.selectingRows([row]))
        let difference = relativeDifference(solved.rowsOfDoubles, [new.factors!.users.row(Int(row)).map { Double($0) }])
        #expect(difference < 1e-5, "\(difference)")
        // A pair that was there adds up, another one is added.
        let before = old.history(of: changed).reduce(0) { $0 + $1.value }
        #expect(abs(new.history(of: changed).reduce(0) { $0 + $1.value } - before - 2) < 1e-4)
    }

    @Test(arguments: TestDevices.names)
    func newItemsReachTheirCircle(device: String) throws {
        let old = try model(device)
        // A new item that the even circle buys, and a stranger who has it alone.
        let buyers = stride(from: 0, to: 120, by: 2).map { "u\($0)" } + ["stranger"]
        let later = try Interactions(users: buyers, items: buyers.map { _ in "novelty" })
        let stream = try TestDevices.stream(device)
        let (new, counts) = try old.foldingIn(later, stream: stream)
        #expect(counts.newItems == 1 && counts.newUsers == 1 && counts.updatedUsers == 60)
        let novelty = try #require(new.items.index(of: "novelty"))
        func score(_ user: String) throws -> Double {
            new.factors!.predict(user: try #require(new.users.index(of: user)), item: novelty)
        }
        for pair in 0..<10 {
            let (even, odd) = (try score("u\(140 + 2 * pair)"), try score("u\(141 + 2 * pair)"))
            #expect(even > 2 * abs(odd), "even \(even), odd \(odd)")
        }
        let recommender = try FactorizationRecommender(
            factors: new.factors!, itemCounts: new.itemCounts,
            userDegrees: (0..<new.seen.rows).map { new.seen.range(ofRow: $0).count }, stream: stream)
        let stranger = Int32(try #require(new.users.index(of: "stranger")))
        let top = try recommender.topItems(
            for: .users([stranger]), count: 5, exclusions: new.seen.selectingRows([stranger]), filter: ItemFilter())
        let numbers = top.row(0).map { Int(new.items[Int($0.item)].dropFirst()) ?? 1 }
        #expect(numbers.allSatisfy { $0 % 2 == 0 }, "\(numbers)")
        let folder = TemporaryFolder()
        try new.save(to: folder.file("new.apus"))
        #expect(try RecommenderModel(path: folder.file("new.apus")).items.count == old.items.count + 1)
    }
}
