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

    private func company(_ customers: Int) throws -> Folder {
        var options = SyntheticCompany.Options()
        options.customers = customers
        let folder = Folder()
        let written = try SyntheticCompany(options).write(to: folder.path)
        #expect(written.rows.count == 10)
        return folder
    }

    private func table(_ name: String, _ folder: Folder) throws -> Table {
        try TableReader.read("\(folder.path)/\(name).csv")
    }

    private func sum(_ values: [Double], _ rows: [Int]) -> Double {
        var total = 0.0
        for row in rows { total += values[row] }
        return total
    }

    /// Labels come as often as the probabilities say, also for those with a monthly contract alone.
    @Test func labelsFollowTheTruth() throws {
        let folder = try company(6000)
        let customers = try table("customers", folder)
        #expect(customers.rowCount == 6000)
        let chance = try #require(try table("truth/customers", folder)["churn_probability"]?.numbers)
        let churn = try TableExpression("churn == 'yes'").numbers(customers)
        let monthly = try TableExpression("contract == 'monthly'").truth(customers)
        var rates: [Double] = []
        for kind: Int8 in [0, 1] {
            let rows = (0..<6000).filter { monthly[$0] == kind }
            let expected = sum(chance, rows)
            let spread = sum(chance.map { $0 * (1 - $0) }, rows).squareRoot()
            #expect(abs(sum(churn, rows) - expected) < 4 * spread)
            rates.append(expected / Double(rows.count))
        }
        #expect(rates[1] > 1.3 * rates[0])
        let calls = try #require(customers["support_calls"]?.numbers)
        #expect(Correlation.pearson(calls, chance.map { log($0 / (1 - $0)) }) > 0.3)
    }

    /// Orders, feedback and campaigns belong to customers and products that are there; the same seed gives the same.
    @Test func filesBelongTogether() throws {
        let folder = try company(1500)
        let (customers, products) = (try table("customers", folder), try table("products", folder))
        for name in ["orders", "events", "feedback"] {
            let rows = try table(name, folder)
            #expect(rows.rowCount > 200, "\(name)")
            #expect(try rows.joined(customers, on: ["customer_id"], kind: .anti).rowCount == 0)
            #expect(try rows.joined(products, on: ["product_id"], kind: .anti).rowCount == 0)
        }
        let texts = try table("feedback", folder)
        #expect(texts["feedback"]?.type == .text)
        let again = try company(1500)
        #expect(cells(try table("feedback", again)) == cells(texts))
        #expect(throws: ParameterError.self) {
            var wrong = SyntheticCompany.Options()
            wrong.customers = 0
            _ = try SyntheticCompany(wrong)
        }
    }

    /// The voucher works on small baskets, as planted.
    @Test func campaignsWorkAsPlanted() throws {
        let folder = try company(6000)
        let rows = try table("campaigns", folder).joined(try table("customers", folder), on: ["customer_id"])
        let small = try rows.filtered(try TableExpression("average_basket < 60"))
        let bought = try small.deriving("bought", try TableExpression("converted"))
        let rates = try bought.grouped(by: ["arm"], [Aggregate(.mean, of: "bought")])
        var byArm: [String: Double] = [:]
        for row in 0..<rates.rowCount {
            byArm[rates.columns[0].text(row) ?? ""] = rates.columns[1].numbers?[row]
        }
        #expect(abs((byArm["voucher"] ?? 0) - (byArm["control"] ?? 1) - 0.09) < 0.03)
    }
}
