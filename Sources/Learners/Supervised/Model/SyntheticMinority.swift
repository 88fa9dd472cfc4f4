import Core
import Tables

/// SMOTE for tables of numbers and categories: each new row lies between a row of its class and one of its five nearest.
///
/// Numbers are drawn on the line between the two, categories are the most frequent among the neighbours. Distances are
/// those of numbers in standard deviations; unlike categories are as far apart as the median deviation, which is 1
/// (Chawla, Bowyer, Hall and Kegelmeyer 2002, SMOTE-NC). Missing values are taken for the mean in distances and stay
/// missing where both rows miss them.
struct SyntheticMinority {
    let data: SupervisedTable
    let members: [[Int]]
    let size: Int
    let random: Philox
    private let neighbours = 5

    init(data: SupervisedTable, members: [[Int]], size: Int, random: Philox) {
        self.data = data
        self.members = members
        self.size = size
        self.random = random
    }

    func applied() throws -> SupervisedTable {
        var (left, nearest, places): ([Int], [[Int]], [Double]) = ([], [], [])
        var target = data.target
        var draw: UInt64 = 0
        for (label, own) in members.enumerated() where !own.isEmpty && own.count < size {
            let near = nearestWithin(own)
            for _ in own.count..<size {
                let place = random.integer(3 * draw, below: own.count)
                let candidates = near[place]
                let partner =
                    candidates.isEmpty
                    ? own[place] : candidates[random.integer(3 * draw + 1, below: candidates.count)]
                left.append(own[place])
                nearest.append([partner] + candidates)
                places.append(random.uniform64(3 * draw + 2))
                target.append(Double(label))
                draw += 1
            }
        }
        guard !left.isEmpty else { return data }
        let columns = data.table.columns.map { extended($0, left, nearest, places) }
        let weights = data.weights.map { weights in weights + left.map { weights[$0] } }
        return data.replacing(table: try Table(columns, rowCount: target.count), target: target, weights: weights)
    }

    /// The five nearest rows of each row of a class. O(rows² · columns), at most 2000 candidates for each.
    private func nearestWithin(_ own: [Int]) -> [[Int]] {
        var (numbers, categories): ([[Double]], [[Int32]]) = ([], [])
        for column in data.table.columns {
            if case .category(let codes, _) = column.values {
                categories.append(own.map { codes[$0] })
            } else if let values = column.numbers {
                let present = values.filter { !$0.isNaN }
                let mean = present.reduce(0, +) / Double(max(present.count, 1))
                let spread = present.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(max(present.count, 1))
                let scale = spread > 0 ? 1 / spread.squareRoot() : 0
                numbers.append(own.map { values[$0].isNaN ? 0 : (values[$0] - mean) * scale })
            }
        }
        let step = max(1, own.count / 2000)
        let result = HostBuffer<Int32>(repeating: -1, count: own.count * neighbours)
        let (numberColumns, categoryColumns) = (numbers, categories)
        Workers.share(tasks: own.count, threads: Workers.processorCount) { place in
            var best: [(distance: Double, row: Int)] = []
            for other in stride(from: place % step, to: own.count, by: step) where other != place {
                var distance = 0.0
                for column in numberColumns {
                    let difference = column[place] - column[other]
                    distance += difference * difference
                }
                for column in categoryColumns where column[place] != column[other] { distance += 1 }
                if best.count < neighbours || distance < best[best.count - 1].distance {
                    let position = best.firstIndex { $0.distance > distance } ?? best.count
                    best.insert((distance, other), at: position)
                    if best.count > neighbours { best.removeLast() }
                }
            }
            for (rank, candidate) in best.enumerated() {
                (result.baseAddress + place * neighbours)[rank] = Int32(candidate.row)
            }
        }
        return own.indices.map { place in
            (0..<neighbours).compactMap { rank in
                let other = result[place * neighbours + rank]
                return other < 0 ? nil : own[Int(other)]
            }
        }
    }

    private func extended(_ column: Column, _ left: [Int], _ nearest: [[Int]], _ places: [Double]) -> Column {
        func between(_ values: [Double], _ place: Int) -> Double {
            let (a, b) = (values[left[place]], values[nearest[place][0]])
            if a.isNaN || b.isNaN { return places[place] < 0.5 ? a : b }
            return a + (b - a) * places[place]
        }
        func whole(_ values: [Int64], _ place: Int) -> Int64 {
            let (a, b) = (values[left[place]], values[nearest[place][0]])
            if a == Column.missingInteger || b == Column.missingInteger { return places[place] < 0.5 ? a : b }
            return a + Int64((Double(b - a) * places[place]).rounded())
        }
        switch column.values {
        case .number(let values):
            return Column(column.name, .number(values + left.indices.map { between(values, $0) }))
        case .integer(let values):
            return Column(column.name, .integer(values + left.indices.map { whole(values, $0) }))
        case .date(let values):
            return Column(column.name, .date(values + left.indices.map { whole(values, $0) }))
        case .boolean(let values):
            return Column(
                column.name,
                .boolean(
                    values
                        + left.indices.map {
                            mostFrequent(nearest[$0].dropFirst().map { values[$0] }) ?? values[left[$0]]
                        }))
        case .category(let codes, let levels):
            let added = left.indices.map {
                mostFrequent(nearest[$0].dropFirst().map { codes[$0] }) ?? codes[left[$0]]
            }
            return Column(column.name, .category(codes: codes + added, levels: levels))
        case .text, .identifier:
            // Words can't be mixed: the new row has those of its first parent.
            return column.selecting(Array(0..<column.count) + left)
        }
    }

    private func mostFrequent<Value: Hashable & Comparable>(_ values: [Value]) -> Value? {
        var counts: [Value: Int] = [:]
        for value in values { counts[value, default: 0] += 1 }
        return counts.max { $0.value != $1.value ? $0.value < $1.value : $0.key > $1.key }?.key
    }
}
