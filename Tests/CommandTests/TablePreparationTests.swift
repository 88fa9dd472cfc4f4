import Testing

@Suite struct TablePreparationTests {
    private func files(_ folder: TemporaryFolder) -> (data: String, other: String) {
        (
            folder.write(
                "data.csv",
                "user_id,age,column1,column2,spend\n1,30,a,x,10.5\n2,,b,y,\n3,abc,c,z,7\n4,41,,w,1\n"),
            folder.write("data2.csv", "user_id,city\n1,Oslo\n4,北京\n4,Rome\n9,Lima\n")
        )
    }

    /// The commands of the documentation, to the letter.
    @Test func asWritten() throws {
        let folder = TemporaryFolder()
        let (data, other) = files(folder)
        let (clean, joined, picture) = (
            folder.path + "/clean.csv", folder.path + "/joined.csv", folder.path + "/age.svg"
        )
        let numbers = folder.write("numbers.csv", "a,column1,column2,b\n1,x,2,4\n,y,3,\n3,z,4,8\n")
        let first = try Program.run(
            ["prepare", "--data", numbers, "--drop", "column1,column2", "--impute", "mean", "--output", clean])
        #expect(first.code == 0, "\(first)")
        #expect(TemporaryFolder.text(clean) == "a,b\n1,4\n2,6\n3,8\n")
        let command = [
            "prepare", "--data", data, "--missing", "drop", "--type", "age=number", "--join", other, "--on", "user_id",
            "--output", joined,
        ]
        let refused = try Program.run(command)
        #expect(
            refused.code == 65 && refused.errors.contains("'abc'") && refused.errors.contains("line 4"), "\(refused)")
        let second = try Program.run(command + ["--on-bad-value", "missing", "--drop", "column1"])
        #expect(second.code == 0, "\(second)")
        #expect(
            TemporaryFolder.text(joined)
                == "user_id,age,column2,spend,city\n1,30,x,10.5,Oslo\n4,41,w,1,北京\n4,41,w,1,Rome\n")
        let third = try Program.run(["plot", "histogram", "--data", joined, "--column", "age", "--output", picture])
        #expect(third.code == 0, "\(third)")
        #expect(TemporaryFolder.text(picture).hasPrefix("<svg"))
    }

    @Test func preparing() throws {
        let folder = TemporaryFolder()
        let (data, other) = files(folder)
        let output = folder.path + "/out.csv"
        let result = try Program.run([
            "prepare", "--data", data, "--append", other, "--derive", "double=spend * 2", "--filter",
            "not missing(spend)",
            "--group-by", "column2", "--aggregate", "n=count", "--aggregate", "sum(double)", "--sort", "-double_sum",
            "--output", output, "--json",
        ])
        #expect(result.code == 0, "\(result)")
        #expect(TemporaryFolder.text(output) == "column2,n,double_sum\nx,1,21\nz,1,14\nw,1,2\n")
        let object = try JSONText.object(in: result.output)
        #expect(object["rows"]?.number == 3 && object["rows_read"]?.number == 4)

        // What was learned from some rows is done to others.
        let recipe = folder.write(
            "recipe.yaml",
            "steps:\n  - impute: {columns: [spend], with: median}\n  - scale: {columns: [spend], with: min-max}\n  - one-hot: {columns: [column2]}\n"
        )
        let fitted = folder.path + "/fitted.json"
        let learned = try Program.run([
            "prepare", "--data", data, "--recipe", recipe, "--select", "column2,spend", "--fitted-output", fitted,
            "--output", output,
        ])
        #expect(learned.code == 0, "\(learned)")
        let rows = TemporaryFolder.text(output).split(separator: "\n").map(String.init)
        #expect(rows[0] == "column2=w,column2=x,column2=y,column2=z,spend" && rows[1] == "0,1,0,0,1")
        let fresh = folder.write("fresh.csv", "spend,column2,more\n20,x,1\n,q,2\n")
        let applied = try Program.run(["prepare", "--data", fresh, "--fitted", fitted, "--output", output])
        #expect(applied.code == 0, "\(applied)")
        let again = TemporaryFolder.text(output).split(separator: "\n").map(String.init)
        #expect(again[0] == "spend,column2=w,column2=x,column2=y,column2=z,more")
        #expect(again[1] == "2,0,1,0,0,1" && again[2].hasSuffix(",0,0,0,0,2"))
    }

    @Test func validating() throws {
        let folder = TemporaryFolder()
        var text = "id,x,group,y\n"
        var moved = text
        for row in 0..<400 {
            text += "u\(row),\(row % 50),\(row % 3 == 0 ? "a" : "b"),\(row % 2 == 0 ? "yes" : "no")\n"
            moved += "u\(row),\(row % 50 + 30),\(row % 3 == 0 ? "a" : "c"),\(row % 2 == 0 ? "yes" : "no")\n"
        }
        let (data, later) = (folder.write("data.csv", text), folder.write("later.csv", moved))
        let (profile, page) = (folder.path + "/profile.json", folder.path + "/page.html")
        let first = try Program.run([
            "validate", "--data", data, "--target", "y", "--html", page, "--profile-output", profile, "--json",
        ])
        #expect(first.code == 0, "\(first)")
        let object = try JSONText.object(in: first.output)
        #expect(object["rows"]?.number == 400 && object["profile"]?.object?["columns"]?.array?.count == 4)
        let html = TemporaryFolder.text(page)
        #expect(html.contains("<svg") && html.contains("Distributions") && !html.contains("https:"))
        let same = try Program.run(["validate", "--data", data, "--against", profile])
        #expect(same.code == 0, "\(same)")
        let drifted = try Program.run(["validate", "--data", later, "--against", profile])
        #expect(drifted.code == 65 && drifted.errors.contains("x (PSI") && drifted.output.contains("PSI"), "\(drifted)")
        #expect(
            try Program.run(["validate", "--data", later, "--against", data, "--max-psi", "100", "--max-ks", "1"]).code
                == 0)
        let rules = folder.write("rules.yaml", "columns:\n  x: {maximum: 40}\nconditions:\n  - y in ('yes', 'no')\n")
        let broken = try Program.run(["validate", "--data", data, "--rules", rules])
        #expect(
            broken.code == 65 && broken.output.contains("broken: x: at most 40 in 72 rows, first in row 42 (41)"),
            "\(broken)")
        #expect(try Program.run(["validate"]).code == 64)
    }

    @Test func pictures() throws {
        let folder = TemporaryFolder()
        let data = folder.write("d.csv", "day,城市,n,m\n2024-01-01,北京,1,2\n2024-02-01,上海,2,5\n2024-03-05,北京,4,3\n")
        for (kind, more) in [
            ("bars", ["--column", "城市"]), ("bars", ["--column", "城市", "--mean", "n"]),
            ("scatter", ["--x", "n", "--y", "m", "--by", "城市"]), ("line", ["--x", "day", "--y", "n"]),
            ("line", ["--x", "day", "--period", "month"]), ("correlations", []), ("histogram", ["--column", "day"]),
            ("histogram", ["--column", "n", "--by", "城市", "--title", "标题"]),
        ] {
            let output = folder.path + "/\(kind).svg"
            let result = try Program.run(["plot", kind, "--data", data, "--output", output] + more)
            #expect(
                result.code == 0 && TemporaryFolder.text(output).hasSuffix("</svg>\n"), "\(kind) \(more): \(result)")
        }
        let wrong = try Program.run([
            "plot", "scatter", "--data", data, "--x", "城市", "--y", "n", "--output", folder.path + "/x.svg",
        ])
        #expect(wrong.code == 65 && wrong.errors.contains("城市"), "\(wrong)")
    }

    @Test func mistakes() throws {
        let folder = TemporaryFolder()
        let (data, other) = files(folder)
        let output = folder.path + "/o.csv"
        let start = ["prepare", "--data", data, "--output", output]
        for (more, code, word) in [
            (["--drop", "nothing"], 65, "nothing"), (["--impute", "guess"], 64, "--impute"),
            (["--missing", "sometimes"], 64, "--missing"), (["--join", other], 64, "--on"),
            (["--type", "age=integral"], 64, "--type"), (["--filter", "age >"], 64, "expression"),
            (["--join", other, "--on", "nothing"], 65, "nothing"), (["--aggregate", "sum(age)"], 64, "--group-by"),
            (["--group-by", "age", "--aggregate", "total(age)"], 64, "--aggregate"),
            (["--recipe", folder.path + "/none.yaml"], 1, "none.yaml"),
            (["--scale", "column1=standard"], 65, "category"),
            (["--sort", "age", "--memory-limit", "10"], 65, "MB"), (["--query", "SELECT 1"], 64, "SQLite"),
        ] as [([String], Int32, String)] {
            let result = try Program.run(start + more)
            #expect(result.code == code && result.errors.contains(word), "\(more): \(result)")
        }
        #expect(try Program.run(["prepare", "--data", "/none.csv", "--output", output]).code == 1)
        #expect(!folder.names.contains("o.csv"))
    }

    @Test func joiningAndShops() throws {
        let folder = TemporaryFolder()
        let (data, other) = files(folder)
        let output = folder.path + "/j.csv"
        let result = try Program.run([
            "join", "--data", data, "--with", other, "--on", "user_id", "--how", "left", "--output", output, "--json",
        ])
        #expect(result.code == 0, "\(result)")
        #expect(try JSONText.object(in: result.output)["rows"]?.number == 5)
        let shop = Program.folder()
        let made = try Program.run([
            "synth", "shop", "--customers", "60", "--products", "20", "--output", shop, "--quiet",
        ])
        #expect(made.code == 0 && made.errors == "", "\(made)")
        #expect(
            Program.names(in: shop) == [
                "campaigns.csv", "customers.csv", "events.csv", "feedback.csv", "orders.csv", "products.csv", "truth",
            ])
        #expect(try Program.run(["synth", "shop", "--customers", "0", "--output", shop]).code == 64)
    }
}
