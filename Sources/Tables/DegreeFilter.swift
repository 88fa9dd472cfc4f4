import Core

/// Leaves out users and items with too few interactions, until nothing changes any more (the k-core of the bipartite
/// graph, with one k for each side). What stays does not depend on the order of leaving out. O(entries + users + items).
struct DegreeFilter {
    private let keepUser: [Bool]
    private let keepItem: [Bool]
    let usersDropped: Int
    let itemsDropped: Int
    let entriesKept: Int
    let entriesDropped: Int

    init(byUser: HostSparseMatrix, minimumPerUser: Int, minimumPerItem: Int) {
        let byItem = byUser.transposed()
        var userDegrees = (0..<byUser.rows).map { byUser.range(ofRow: $0).count }
        var itemDegrees = (0..<byItem.rows).map { byItem.range(ofRow: $0).count }
        var keepUser = userDegrees.map { $0 >= minimumPerUser }
        var keepItem = itemDegrees.map { $0 >= minimumPerItem }
        // Numbers of left-out nodes whose neighbours have not been told: users from 0, items after them.
        var pending = keepUser.indices.filter { !keepUser[$0] }
        pending += keepItem.indices.filter { !keepItem[$0] }.map { byUser.rows + $0 }
        while let node = pending.popLast() {
            if node < byUser.rows {
                for entry in byUser.range(ofRow: node) {
                    let item = Int(byUser.columnIndices[entry])
                    itemDegrees[item] -= 1
                    if keepItem[item], itemDegrees[item] < minimumPerItem {
                        keepItem[item] = false
                        pending.append(byUser.rows + item)
                    }
                }
            } else {
                for entry in byItem.range(ofRow: node - byUser.rows) {
                    let user = Int(byItem.columnIndices[entry])
                    userDegrees[user] -= 1
                    if keepUser[user], userDegrees[user] < minimumPerUser {
                        keepUser[user] = false
                        pending.append(user)
                    }
                }
            }
        }
        // Without a minimum of its own a side may still be left without any interaction.
        for user in keepUser.indices where userDegrees[user] <= 0 { keepUser[user] = false }
        for item in keepItem.indices where itemDegrees[item] <= 0 { keepItem[item] = false }
        var kept = 0
        for user in keepUser.indices where keepUser[user] { kept += userDegrees[user] }
        self.keepUser = keepUser
        self.keepItem = keepItem
        usersDropped = keepUser.count { !$0 }
        itemsDropped = keepItem.count { !$0 }
        entriesKept = kept
        entriesDropped = byUser.entryCount - kept
    }

    /// The interactions that stay, numbered anew in the old order.
    func apply(to old: SparseInteractions) -> SparseInteractions {
        var itemNumbers = [Int32](repeating: -1, count: keepItem.count)
        var items: Int32 = 0
        for item in keepItem.indices where keepItem[item] {
            itemNumbers[item] = items
            items += 1
        }
        let users = keepUser.count { $0 }
        let pointers = HostBuffer<Int64>(repeating: 0, count: users + 1)
        let columns = HostBuffer<Int32>(uninitializedCount: entriesKept)
        let values = HostBuffer<Float>(uninitializedCount: entriesKept)
        let times = old.times.map { _ in HostBuffer<Int64>(uninitializedCount: entriesKept) }
        var place = 0
        var row = 0
        for user in keepUser.indices where keepUser[user] {
            for entry in old.byUser.range(ofRow: user) {
                let item = itemNumbers[Int(old.byUser.columnIndices[entry])]
                guard item >= 0 else { continue }
                columns[place] = item
                values[place] = old.byUser.values[entry]
                if let times, let oldTimes = old.times { times[place] = oldTimes[entry] }
                place += 1
            }
            row += 1
            pointers[row] = Int64(place)
        }
        return SparseInteractions(
            users: compact(old.users, keep: keepUser), items: compact(old.items, keep: keepItem),
            byUser: HostSparseMatrix(
                rows: users, columns: Int(items), rowPointers: pointers, columnIndices: columns, values: values),
            times: times)
    }
}
