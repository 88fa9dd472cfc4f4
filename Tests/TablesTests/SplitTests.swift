import Core
import Tables
import Testing

@Suite struct SplitTests {
    private func data(timed: Bool = true) throws -> Interactions {
        try read(shop(rows: 20_000, users: 400, items: 150, seed: 5)) { $0.needsTimes = timed }
    }

    private func places(_ matrix: HostSparseMatrix, rows: [Int32]? = nil) -> Set<[Int32]> {
        var result: Set<[Int32]> = []
        for row in 0..<matrix.rows {
            for entry in matrix.range(ofRow: row) {
                result.insert([rows?[row] ?? Int32(row), matrix.columnIndices[entry]])
            }
        }
        return result
    }

    private func expectSound(_ split: InteractionSplit, _ data: Interactions) {
        let training = places(split.trainingByUser)
        let whole = places(data.byUser)
        #expect(split.trainingByUser.rows == data.byUser.rows && split.trainingByUser.columns == data.byUser.columns)
        let transposed = split.trainingByUser.transposed()
        #expect(transposed.columnIndices.array == split.trainingByItem.columnIndices.array)
        #expect(transposed.values.array == split.trainingByItem.values.array)
        #expect(training.isSubset(of: whole))
        let known = Set(training.map { $0[1] })
        var parts = [training]
        for set in [split.testSet] + (split.validationSet.map { [$0] } ?? []) {
            let test = places(set.test, rows: set.users)
            #expect(!test.isEmpty && test.isSubset(of: whole) && test.allSatisfy { known.contains($0[1]) })
            #expect(set.users == Array(Set(set.users)).sorted() && set.test.rows == set.users.count)
            for row in 0..<set.users.count { #expect(!set.test.range(ofRow: row).isEmpty) }
            parts.append(test)
            if let foldIn = set.foldIn {
                let histories = places(foldIn, rows: set.users)
                #expect(histories.allSatisfy { known.contains($0[1]) } && histories.isSubset(of: whole))
                parts.append(histories)
                for row in 0..<set.users.count {
                    #expect(split.trainingByUser.range(ofRow: Int(set.users[row])).isEmpty)
                    #expect(!foldIn.range(ofRow: row).isEmpty)
                }
            } else {
                for user in set.users { #expect(!split.trainingByUser.range(ofRow: Int(user)).isEmpty) }
            }
        }
        for first in parts.indices {
            for second in parts.indices where second > first { #expect(parts[first].isDisjoint(with: parts[second])) }
        }
    }

    @Test(arguments: [SplitKind.time, .random, .users, .leaveLastOut], [false, true])
    func partsAreDisjointAndKnown(_ kind: SplitKind, _ validation: Bool) throws {
        let data = try data()
        let options = SplitOptions(kind: kind, seed: 11, validation: validation)
        let split = try data.split(options)
        expectSound(split, data)
        #expect((split.validationSet != nil) == validation)
        #expect((split.warning != nil) == (kind == .leaveLastOut))
        let again = try data.split(options)
        #expect(places(again.test) == places(split.test) && again.evaluationUsers == split.evaluationUsers)
        if kind == .random || kind == .users {
            let other = try data.split(SplitOptions(kind: kind, seed: 12, validation: validation))
            #expect(places(other.trainingByUser) != places(split.trainingByUser))
        }
    }

    @Test(arguments: SplitKind.allCases)
    func readingAndDividingAtOnceIsTheSame(_ kind: SplitKind) throws {
        let folder = TemporaryFolder()
        let path = folder.write("data.csv", shop(rows: 20_000, users: 400, items: 150, seed: 5))
        let options = SplitOptions(kind: kind, seed: 4, validation: true)
        let whole = try data()
        let apart = try whole.split(options)
        let once = try InteractionReader.read(path, split: options)
        #expect(once.users.strings == whole.users.strings)
        #expect(once.split.trainingByUser.columnIndices.array == apart.trainingByUser.columnIndices.array)
        #expect(once.split.trainingByItem.values.array == apart.trainingByItem.values.array)
        #expect(once.split.test.columnIndices.array == apart.test.columnIndices.array)
        #expect(once.split.validationSet?.test.values.array == apart.validationSet?.test.values.array)
        #expect(once.split.evaluationUsers == apart.evaluationUsers && once.split.cutTime == apart.cutTime)
    }

    @Test func heldOutUsersFollowTheProtocol() throws {
        let data = try data()
        let split = try data.split(SplitOptions(kind: .users, seed: 3))
        let eligible = (0..<data.byUser.rows).filter { data.byUser.range(ofRow: $0).count >= 5 }.count
        #expect(split.evaluationUsers.count + split.testSet.usersDropped == eligible / 10)
        for (row, user) in split.evaluationUsers.enumerated() {
            let all = data.byUser.range(ofRow: Int(user)).count
            let history = split.foldIn?.range(ofRow: row).count ?? 0
            let tested = split.test.range(ofRow: row).count
            #expect(tested == Int(0.2 * Double(history + tested)) && history + tested <= all)
        }
        let capped = try data.split(SplitOptions(kind: .users, seed: 3, maximumHeldOutUsers: 7))
        #expect(capped.evaluationUsers.count + capped.testSet.usersDropped == 7)
    }

    @Test func timeCutsAtAQuantileAndKeepsTiesTogether() throws {
        let data = try data()
        let split = try data.split(SplitOptions(kind: .time))
        let times = try #require(data.times)
        let cut = try #require(split.cutTime)
        let sorted = times.array.sorted()
        #expect(cut == sorted[Int((Double(sorted.count) * 0.8).rounded(.up)) - 1])
        #expect(split.trainingByUser.entryCount == sorted.count { $0 <= cut })
        let tied = try read("user,item,time\na,x,1\na,y,5\nb,x,5\nb,y,1\nc,x,9\nc,y,1\n") { $0.needsTimes = true }
        let tiedSplit = try tied.split(SplitOptions(kind: .time, testFraction: 0.5))
        #expect(tiedSplit.cutTime == 1 && tiedSplit.trainingByUser.entryCount == 3)
    }

    @Test func unseenItemsAreCountedNotTested() throws {
        let data = try read("user,item,time\na,x,1\na,y,2\nb,x,1\nb,new,9\na,new2,9\nb,y,3\n") { $0.needsTimes = true }
        #expect(dataError { _ = try data.split(SplitOptions(kind: .time, testFraction: 0.3)) } != nil)
        let split = try data.split(SplitOptions(kind: .time, testFraction: 0.5))
        #expect(split.cutTime == 2 && split.testSet.unseenItemEntries == 2)
        #expect(split.evaluationUsers == [1] && split.test.entryCount == 1)
        #expect(split.testSet.usersDropped == 1)
    }

    @Test func lastOutTakesTheLatestAndTheHighestItemAmongTies() throws {
        let data = try read("user,item,time\na,x,9\na,y,2\na,z,9\nb,x,1\nb,y,2\nb,z,1\n") { $0.needsTimes = true }
        let split = try data.split(SplitOptions(kind: .leaveLastOut))
        #expect(places(split.test, rows: split.evaluationUsers) == [[0, 2], [1, 1]])
    }

    @Test func timesAreAskedFor() throws {
        let without = try data(timed: false)
        #expect(dataError { _ = try without.split(SplitOptions(kind: .time)) }?.reason.contains("not kept") == true)
        let none = try read("user,item\na,x\n")
        #expect(dataError { _ = try none.split(SplitOptions(kind: .time)) }?.reason.contains("there is none") == true)
        #expect(throws: ParameterError.self) { _ = try none.split(SplitOptions(kind: .random, testFraction: 1)) }
        let all = try none.split(SplitOptions(kind: .none))
        #expect(all.trainingByUser.entryCount == 1 && all.evaluationUsers.isEmpty)
    }

    @Test func foldsPartitionTheEntries() throws {
        let data = try data()
        let folds = try data.folds(count: 5, seed: 1)
        var seen: Set<[Int32]> = []
        for fold in folds {
            let test = places(fold.test)
            #expect(seen.isDisjoint(with: test))
            #expect(places(fold.trainingByUser).isDisjoint(with: test))
            #expect(abs(test.count * 5 - data.count) <= 5)
            #expect(fold.trainingByUser.entryCount + test.count == data.count)
            seen.formUnion(test)
        }
        #expect(seen == places(data.byUser))
        #expect(throws: ParameterError.self) { _ = try data.folds(count: 1, seed: 1) }
    }

    @Test func filesSplitElsewhere() throws {
        let items = IdentifierIndex(["p", "q", "r"])
        let folder = TemporaryFolder()
        let histories = folder.write("fold.csv", "user,item\nann,r\nann,p\nbob,unknown\ncy,q\n")
        let tests = folder.write("test.csv", "user,item\ncy,p\nann,q\nann,unknown\nbob,p\ndan,q\n")
        let split = try SplitFiles(foldIn: histories, test: tests, items: items)
        #expect(split.users.strings == ["cy", "ann"])
        #expect(split.foldIn.columnIndices.array == [1, 0, 2] && split.foldIn.rowPointers.array == [0, 1, 3])
        #expect(split.test.columnIndices.array == [0, 1])
        #expect(split.unknownItemEntries == 2 && split.usersDropped == 2)
    }
}
