import Core

#if canImport(Glibc)
    import Glibc
#endif

/// A customer of a synthetic company.
struct SyntheticCustomer: Sendable {
    let id: String
    let churned: Bool
    /// When a customer who churned was last seen.
    let leftAt: Int64
    let churnProbability: Double
    let purchaseProbability: Double
    let newsletter: Bool
    let averageBasket: Double
    let satisfaction: Int
    /// The row of `customers.csv`.
    let row: String

    private static let cities = [
        "Berlin", "Hamburg", "Wien", "Zürich", "北京", "上海", "Paris", "Lyon", "Oslo", "Madrid", "London", "Praha",
    ]

    init(_ company: SyntheticCompany, _ number: Int) {
        let options = company.options
        var draws = SyntheticDraws(seed: options.seed, stream: 0x5045_4F50, number: number)
        id = "C" + String(100_001 + number).dropFirst()
        let age = min(max(Int((43 + 15 * draws.normal()).rounded()), 18), 90)
        let gender = draws.uniform() < 0.52 ? "female" : draws.uniform() < 0.97 ? "male" : "other"
        // A few cities have most people.
        let city = Self.cities[Int(Double(Self.cities.count) * draws.uniform() * draws.uniform())]
        let income = exp(10.3 + 0.45 * draws.normal())
        let tenure = 1 + Int(72 * draws.uniform() * (0.3 + 0.7 * draws.uniform()))
        let channel = ["shop", "web", "app", "referral"][draws.integer(below: 4)]
        let monthly = draws.uniform() < 0.55
        let card = draws.uniform() < 0.35
        newsletter = draws.uniform() < 0.4
        var calls = 0
        while calls < 9, draws.uniform() < 0.42 { calls += 1 }
        satisfaction = min(max(Int((3.6 - 0.25 * Double(calls) + 0.9 * draws.normal()).rounded()), 1), 5)
        let visits = Int((-log(1 - 0.999 * draws.uniform()) * 4).rounded())
        let sinceVisit = visits > 12 ? draws.integer(below: 3) : Int((60 * draws.uniform() * draws.uniform()).rounded())
        averageBasket = 20 + 60 * -log(1 - 0.999 * draws.uniform()) * (0.5 + income / 60_000)
        func sum(_ effects: [SyntheticCompany.Effect], _ values: [Double]) -> Double {
            zip(effects, values).reduce(0) { $0 + $1.0.logOdds * $1.1 }
        }
        let curve = (Double(age) - 45) / 15
        churnProbability = SyntheticCompany.logistic(
            sum(
                SyntheticCompany.churnEffects,
                [1, monthly ? 1 : 0, Double(tenure), Double(calls), Double(satisfaction), card ? 1 : 0]))
        purchaseProbability = SyntheticCompany.logistic(
            sum(
                SyntheticCompany.purchaseEffects,
                [1, Double(visits), Double(sinceVisit), averageBasket, newsletter ? 1 : 0, curve * curve]))
        churned = draws.uniform() < churnProbability
        let purchase = draws.uniform() < purchaseProbability
        leftAt = options.startTime + Int64(Double(options.days) * 86_400 * (0.6 + 0.4 * draws.uniform()))
        // Of what people tell about themselves, some is missing.
        let incomeText = draws.uniform() < 0.12 ? "" : String(Int(income / 100) * 100)
        let satisfactionText = draws.uniform() < 0.05 ? "" : "\(satisfaction)"
        let joined = options.startTime + 86_400 * (Int64(options.days) - Int64(Double(tenure) * 30.44))
        var parts: [String] = [id, "\(age)", gender, city, incomeText, CalendarTime.text(joined), "\(tenure)"]
        parts += [channel, monthly ? "monthly" : "yearly", card ? "yes" : "no", newsletter ? "true" : "false"]
        parts += ["\(calls)", satisfactionText, "\(visits)", "\(sinceVisit)"]
        parts += [SyntheticCompany.rounded(averageBasket, 2), churned ? "yes" : "no", purchase ? "1" : "0"]
        row = parts.joined(separator: ",")
    }
}

/// A product of a synthetic company.
struct SyntheticProduct: Sendable {
    let id: String
    let title: String
    let department: String
    let priceText: String
    let costText: String
    let stock: Int
    /// How good it is, 0 … 1.
    let quality: Double

    init(_ company: SyntheticCompany, _ number: Int) {
        var draws = SyntheticDraws(seed: company.options.seed, stream: 0x5052_4F44, number: number)
        id = "P" + String(100_001 + number).dropFirst()
        title = company.interactions.title(ofItem: number)
        department = company.interactions.department(ofItem: number)
        let price = (5 + 95 * draws.uniform() * draws.uniform()).rounded() - 0.01
        priceText = SyntheticCompany.rounded(price, 2)
        costText = SyntheticCompany.rounded(price * (0.4 + 0.3 * draws.uniform()), 2)
        stock = draws.uniform() < 0.05 ? 0 : draws.integer(below: 500)
        quality = draws.uniform()
    }
}

/// What a customer writes about a product: a topic, an opinion, words for both.
struct SyntheticFeedback {
    let stars: Int
    let topic: String
    let good: Bool
    let chinese: Bool
    let text: String

    init(_ person: SyntheticCustomer, _ product: SyntheticProduct, chinese: Bool, _ draws: inout SyntheticDraws) {
        self.chinese = chinese
        let liking = 0.25 * Double(person.satisfaction) + 1.6 * product.quality + 0.7 * draws.normal()
        good = liking > 1.35
        stars = good ? (liking > 2 ? 5 : 4) : liking > 1.1 ? 3 : liking > 0.7 ? 2 : 1
        let place = draws.integer(below: Self.topics.count)
        topic = Self.topics[place].name
        let own = Self.topics[place]
        func pick(_ list: [String]) -> String { list[draws.integer(below: list.count)] }
        if chinese {
            let opening = pick(["买了这个商品", "第二次购买了", "朋友推荐的", "上周下的单", "双十一买的"])
            let closing = good ? pick(["很满意", "会再来", "推荐购买", "五星好评"]) : pick(["很失望", "不会再买", "不推荐", "要求退货"])
            text =
                "\(opening)，\(pick(good ? own.goodChinese : own.badChinese))，\(pick(good ? own.goodChinese : own.badChinese))，\(closing)。"
        } else {
            let opening = pick([
                "I bought the \(product.title)", "Second order from this shop", "A gift for my sister",
                "Ordered last week", "Got the \(product.title) in the sale",
            ])
            let closing =
                good
                ? pick(["Very happy with it", "Would buy again", "Recommended", "Thank you"])
                : pick(["Disappointed", "Never again", "I want my money back", "Not recommended"])
            text = "\(opening). \(pick(good ? own.good : own.bad)), \(pick(good ? own.good : own.bad)). \(closing)!"
        }
    }

    private struct Topic {
        let name: String
        let good, bad, goodChinese, badChinese: [String]
    }

    private static let topics = [
        Topic(
            name: "delivery",
            good: [
                "Delivery was fast", "it arrived a day early", "the parcel came well packed",
                "shipping took two days only",
            ],
            bad: [
                "The parcel came late", "the box was crushed", "shipping took three weeks",
                "the courier lost it at first",
            ],
            goodChinese: ["物流很快", "包装很好", "第二天就送到了", "快递员态度好"], badChinese: ["物流太慢", "包装破损", "等了三个星期", "快递丢件"]),
        Topic(
            name: "quality",
            good: [
                "The quality is excellent", "the material feels solid", "it is well made",
                "the colour is as in the picture",
            ],
            bad: [
                "It broke after two days", "the material is thin and cheap", "a seam came loose", "the colour is wrong",
            ],
            goodChinese: ["质量非常好", "材质厚实", "做工精细", "颜色和图片一样"], badChinese: ["质量很差", "两天就坏了", "材质很薄", "颜色不对"]),
        Topic(
            name: "price",
            good: ["Great value for the price", "cheaper than elsewhere", "the discount was real", "worth every cent"],
            bad: [
                "Far too expensive", "the price went down a day later", "not worth the money",
                "the voucher did not work",
            ],
            goodChinese: ["性价比高", "价格便宜", "优惠很大", "物有所值"], badChinese: ["太贵了", "买完就降价", "不值这个价", "优惠券不能用"]),
        Topic(
            name: "service",
            good: [
                "The support was friendly", "my question was answered at once", "the exchange was easy",
                "helpful staff",
            ],
            bad: [
                "Nobody answers the phone", "the support was rude", "the refund took months",
                "I waited an hour in the chat",
            ],
            goodChinese: ["客服很热情", "回复很快", "退换方便", "服务周到"], badChinese: ["客服不理人", "态度很差", "退款太慢", "没人接电话"]),
    ]
}
