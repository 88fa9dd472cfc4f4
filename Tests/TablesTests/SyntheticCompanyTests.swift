import Core
import Glibc
import Tables
import Testing

@Suite struct SyntheticCompanyTests {
    private final class Folder {
        let path: String
        init() {
            var template = Array("/tmp/apus-company-XXXXXX".utf8CString)
            path = template.withUnsafeMutableBufferPointer { String(cString: mkdtemp($0.baseAddress!)) }
        }
        deinit {
            for name in ["customers", "products", "orders", "events", "feedback", "campaigns"] {
                unlink("\(path)/\(name).csv")
            }
            for name in ["customers", "effects", "feedback", "campaigns"] { unlink("\(path)/truth/\(name).csv") }
            rmdir(path + "/truth")
            rmdir(path)
        }
    }

    @Test func theCompanyIsWhatItsTruthSays() throws {
        var options = SyntheticCompany.Options()
        options.customers = 6000
        let (first, second) = (Folder(), Folder())
        let written = try SyntheticCompany(options).write(to: first.path)
        _ = try SyntheticCompany(options).write(to: second.path)
        func table(_ name: String, in folder: Folder? = nil) throws -> Table {
            try TableReader.read("\((folder ?? first).path)/\(name).csv")
        }
        let customers = try table("customers")
        #expect(customers.rowCount == 6000 && written.rows.count == 10)
        #expect(cells(try table("feedback")) == cells(try table("feedback", in: second)))
        // Labels come as often as the probabilities say, overall and for those with a monthly contract.
        let truth = try table("truth/customers")
        let churn = try TableExpression("churn == 'yes'").numbers(customers)
        let monthly = try TableExpression("contract == 'monthly'").truth(customers)
        let chance = truth["churn_probability"]?.numbers ?? []
        for kind in [0, 1] as [Int8] {
            let rows = monthly.indices.filter { monthly[$0] == kind }
            let (seen, expected) = (rows.reduce(0) { $0 + churn[$1] }, rows.reduce(0) { $0 + chance[$1] })
            let spread = rows.reduce(0) { $0 + chance[$1] * (1 - chance[$1]) }.squareRoot()
            #expect(abs(seen - expected) < 4 * spread && seen / Double(rows.count) > (kind == 1 ? 0.25 : 0.08))
        }
        // Probabilities follow the planted effects: a call more multiplies the odds by exp(0.4).
        let calls = customers["support_calls"]?.numbers ?? []
        let logit = chance.map { log($0 / (1 - $0)) }
        #expect(Correlation.pearson(calls, logit) > 0.3)
        // Orders, feedback and campaigns belong to customers and products that are there.
        let products = try table("products")
        for name in ["orders", "events", "feedback"] {
            let rows = try table(name)
            #expect(rows.rowCount > 1000, "\(name)")
            #expect(try rows.joined(customers, on: ["customer_id"], kind: .anti).rowCount == 0)
            #expect(try rows.joined(products, on: ["product_id"], kind: .anti).rowCount == 0)
        }
        // The voucher works on small baskets, as planted.
        let campaigns = try table("campaigns").joined(customers, on: ["customer_id"])
        let small = try TableExpression("average_basket < 60").truth(campaigns)
        let bought = try TableExpression("converted").numbers(campaigns)
        func rate(_ arm: String) throws -> Double {
            let own = try TableExpression("arm == '\(arm)'").truth(campaigns)
            let rows = own.indices.filter { own[$0] == 1 && small[$0] == 1 }
            return rows.reduce(0) { $0 + bought[$1] } / Double(rows.count)
        }
        #expect(abs(try rate("voucher") - rate("control") - 0.09) < 0.03)
        let texts = try table("feedback")
        #expect(
            (texts["feedback"]?.type == .text)
                && Set(CategoryLevels.of(texts["label"])).isSuperset(of: ["positive", "negative"]))
        #expect(throws: ParameterError.self) {
            var wrong = SyntheticCompany.Options()
            wrong.customers = 0
            _ = try SyntheticCompany(wrong)
        }
    }

    private enum CategoryLevels {
        static func of(_ column: Column?) -> [String] {
            if case .category(_, let levels)? = column?.values { levels } else { [] }
        }
    }
}
