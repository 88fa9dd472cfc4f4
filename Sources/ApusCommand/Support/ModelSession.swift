import ArgumentParser
import Compute
import Core
import Devices
import Learners
import Tables

/// A model opened for questions: on a device, with its identifiers at hand.
struct ModelSession {
    let model: RecommenderModel
    let recommender: any Recommender
    let stream: Compute.Stream
    let itemCounts: [Float]

    /// - Parameter names: titles that take the place of the model's own.
    init(path: String, names: ItemNameFlags? = nil, device: DeviceOption, global: GlobalOptions) throws {
        var model = try RecommenderModel(path: path)
        if let titles = try names?.titles(for: model.items) { model.itemTitles = titles }
        self.model = model
        stream = try device.open(global).makeStream()
        itemCounts = model.itemCounts
        recommender = try model.open(on: stream)
    }

    /// Index of an item. Throws ``DataError`` for one that the model does not know.
    func item(_ identifier: String) throws -> Int32 {
        guard let index = model.items.index(of: identifier) else {
            throw DataError("the model does not know item `\(identifier)`")
        }
        return Int32(index)
    }

    /// Index of a user. Throws ``DataError`` for one that the model does not know.
    func user(_ identifier: String) throws -> Int32 {
        guard let index = model.users.index(of: identifier) else {
            throw DataError("the model does not know user `\(identifier)`")
        }
        return Int32(index)
    }

    /// Items named on the command line, separated by commas, or by @FILE with one in each line or an item column.
    func items(_ list: String) throws -> [Int32] {
        try Self.identifiers(list, names: SmallTable.itemNames, role: "items").map(item)
    }

    /// Identifiers of a list: `a,b,c`, or `@FILE`.
    static func identifiers(_ list: String, names: [String], role: String) throws -> [String] {
        guard list.hasPrefix("@") else {
            return list.split(separator: ",").map(String.init)
        }
        let path = String(list.dropFirst())
        let table = try SmallTable(path: path)
        if table.columns.count == 1, (try? table.column(role, among: names)) == nil {
            return table.columns + table.rows.map { $0[0] }
        }
        let column = try table.column(role, among: names)
        return table.rows.map { $0[column] }
    }

    /// Columns of a table for people that name an item, and their fields: a column of titles where there are any.
    func header(_ side: RecommenderSide) -> [String] {
        side == .users ? ["user"] : model.itemTitles == nil ? ["item"] : ["item", "title"]
    }

    func fields(_ side: RecommenderSide, _ row: Int32) -> [String] {
        guard side == .items else { return [model.users[Int(row)]] }
        return [model.items[Int(row)]] + (model.itemTitles.map { [$0[Int(row)]] } ?? [])
    }

    /// Name and title of an item for people: the title alone says it when there is one.
    func members(item: Int32) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [("item", .string(model.items[Int(item)]))]
        if let title = model.itemTitles?[Int(item)], !title.isEmpty { members.append(("title", .string(title))) }
        return members
    }
}

/// Writes fields of a CSV row: quoted only where needed.
enum CSV {
    static func row(_ fields: [String]) -> String {
        fields.map(field).joined(separator: ",") + "\n"
    }

    static func field(_ text: String) -> String {
        let special = text.utf8.contains { $0 == 0x2C || $0 == 0x22 || $0 == 0x0A || $0 == 0x0D }
        guard special else { return text }
        return "\"" + text.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }
}
