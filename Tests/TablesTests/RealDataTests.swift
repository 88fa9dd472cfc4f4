import Core
import Glibc
import Tables
import Testing

/// Real data, where `APUS_TEST_DATA` names the folder that holds it.
private let folder: String? = getenv("APUS_TEST_DATA").map { String(cString: $0) }

@Suite(.enabled(if: folder != nil, "set APUS_TEST_DATA to the folder of test data to read real files"))
struct RealDataTests {
    private func path(_ name: String) -> String { (folder ?? "") + "/" + name }

    @Test func movieLens100K() throws {
        var options = InteractionOptions()
        options.headerlessColumns = ["user", "item", "rating", "time"]
        options.needsTimes = true
        let data = try InteractionReader.read(path("movielens-100k/u.data"), options: options)
        #expect(data.users.count == 943 && data.items.count == 1_682 && data.count == 100_000)
        #expect(data.users[0] == "196" && data.items[0] == "242")
        #expect(data.report.minimumTimeSeen == 874_724_710 && data.report.maximumTimeSeen == 893_286_638)
        expectConsistent(data)
        let error = dataError { _ = try InteractionReader.read(path("movielens-100k/u.data")) }
        #expect(error?.reason.contains("looks like data") == true)
        let split = try data.split(SplitOptions(kind: .time))
        #expect(abs(split.trainingByUser.entryCount - 80_000) < 50)
    }

    @Test func movieLens1M() throws {
        var options = InteractionOptions()
        let data = try InteractionReader.read(path("movielens-1m/ratings.csv.gz"), options: options)
        #expect(data.users.count == 6_040 && data.items.count == 3_706 && data.count == 1_000_203)
        #expect(data.report.compression == "gzip")
        options.minimumValue = 4
        let liked = try InteractionReader.read(path("movielens-1m/ratings.csv.gz"), options: options)
        #expect(liked.count + liked.report.rowsBelowMinimumValue == 1_000_203)
        let split = try liked.split(SplitOptions(kind: .users, seed: 42))
        #expect(split.evaluationUsers.count > 550)
    }

    @Test func movieLens1MUsersAsAnyTable() throws {
        var options = InteractionOptions()
        options.headerlessColumns = ["user", "-", "-", "-", "item"]
        let data = try InteractionReader.read(path("movielens-1m/users.dat"), options: options)
        #expect(data.report.delimiter == "::" && data.users.count == 6_040)
    }

    @Test func lastFM() throws {
        let data = try InteractionReader.read(path("lastfm-2k/user_artists.tsv"))
        #expect(data.users.count == 1_892 && data.items.count == 17_632 && data.count == 92_834)
        #expect(data.report.maximumValueSeen == 352_698)
    }

    @Test func onlineRetail() throws {
        let file = path("online-retail/online-retail.csv.gz")
        let error = dataError { _ = try InteractionReader.read(file) }
        #expect(error?.column == "CustomerID" && error?.reason.contains("empty") == true)
        var options = InteractionOptions()
        options.onBadRow = .skip
        options.needsTimes = true
        let data = try InteractionReader.read(file, options: options)
        #expect(data.report.rowsRead == 541_909 && data.report.rowsSkipped == 135_080)
        #expect(data.users.count == 4_372 && data.report.minimumValueSeen < 0)
        #expect(data.report.columnsByRole["time"] == "InvoiceDate" && data.report.columnsByRole["value"] == "Quantity")
        expectConsistent(data)
    }

    @Test func amazonAndRetailRocket() throws {
        var options = InteractionOptions()
        options.headerlessColumns = ["user", "item", "rating", "time"]
        let amazon = try InteractionReader.read(path("amazon-hin/user_item.tsv.gz"), options: options)
        #expect(amazon.users.count == 6_170 && amazon.items.count == 2_753)
        let views = try InteractionReader.read(path("retailrocket-reduced/view.dat"))
        #expect(views.report.rowsRead == 78_371)
    }
}
