import Apus

// A service in small: it trains on purchases without blocking its threads, saves the model, loads it again, and answers
// for a known customer, for a visitor with a basket, and for somebody nobody knows.
//
//     swift run -c release --package-path Examples/RecommendationService RecommendationService [DEVICE]

let deviceName = CommandLine.arguments.count > 1 ? CommandLine.arguments[1] : "auto"
let opened = try Devices.open(deviceName)
print("device \(opened.explanation)")

// Purchases of two circles of customers: tea people and coffee people. A service would read a file instead:
// try InteractionReader.read("orders.csv")
let assortment = [
    ["green tea", "teapot", "honey", "porcelain cup", "biscuits"],
    ["espresso beans", "grinder", "milk jug", "glass cup", "biscuits"],
]
var (customers, products): ([String], [String]) = ([], [])
let random = Philox(seed: 7, stream: 0)
for customer in 0..<200 {
    let circle = assortment[customer % 2]
    for (place, product) in circle.enumerated()
    where random.uniform(UInt64(customer * circle.count + place)) < 0.6 {
        customers.append("customer \(customer)")
        products.append(product)
    }
}
let purchases = try Interactions(users: customers, items: products)

var options = RecommenderTrainingOptions()
options.factorization.factors = 2
options.factorization.iterations = 10

// Training runs on a thread of its own; cancelling the task stops it after the present iteration.
let result = try await RecommenderTraining.train(purchases, options: options, on: opened.device) { report in
    print("iteration \(report.completed) of \(report.total ?? 0)")
    return .proceed
}

let path = CommandLine.arguments.count > 2 ? CommandLine.arguments[2] : "service.apus"
try result.model.save(to: path)

// Later, perhaps in another process:
let model = try RecommenderModel(path: path)
let recommender = try model.open(on: opened.device.makeStream())

func names(_ top: TopItems) -> String {
    top.row(0).map { model.items[Int($0.item)] }.joined(separator: ", ")
}

// Known customers: what they have already is left out.
guard let known = model.users.index(of: "customer 2").map({ Int32($0) }) else {
    throw DataError("customer 2 bought nothing")
}
let forKnown = try recommender.topItems(
    for: .users([known]), count: 2, exclusions: model.seen.selectingRows([known]), filter: ItemFilter())
print("customer 2 has \(model.history(of: Int(known)).map { model.items[Int($0.item)] }.joined(separator: ", "))")
print("customer 2 is offered: \(names(forKnown))")

// A visitor whom the model has never seen, by the basket: folded in, without training.
let basket = ["espresso beans", "milk jug"].compactMap { model.items.index(of: $0) }.sorted()
let history = HostSparseMatrix(rows: 1, columns: model.items.count, entries: basket.map { (0, $0, 1) })
let forVisitor = try recommender.topItems(
    for: .histories(history), count: 2, exclusions: history, filter: ItemFilter())
print("the visitor with espresso beans and a milk jug is offered: \(names(forVisitor))")

// Nobody knows this one: popular items.
let forStranger = try PopularItems(counts: model.itemCounts).topItems(
    for: .users([0]), count: 2, exclusions: nil, filter: ItemFilter())
print("a stranger is offered: \(names(forStranger))")
