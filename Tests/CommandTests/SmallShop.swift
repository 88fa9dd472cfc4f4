import Core
import Testing

/// A shop of two tastes, small enough to train on in a moment, and what the tests share of it.
///
/// Generated here rather than by `apus synth`, so that these tests judge the other commands by themselves.
enum SmallShop {
    static let users = 120
    static let items = 60

    /// `user,item,rating,time`: user u likes the items whose number has u's parity; a few exceptions.
    static let text: String = {
        let random = Philox(seed: 7, stream: 1)
        var text = "user,item,rating,time\n"
        var draw: UInt64 = 0
        for user in 0..<users {
            for item in 0..<items {
                let likes = user % 2 == item % 2
                let uniform = random.uniform(draw)
                draw += 1
                guard uniform < (likes ? 0.4 : 0.02) else { continue }
                text += "u\(user),i\(item),\(likes ? 5 : 2),\(1_700_000_000 + Int(draw) * 60)\n"
            }
        }
        return text
    }()

    /// Arguments that train quickly and alike everywhere.
    static func training(_ interactions: String, output: String, iterations: Int = 5) -> [String] {
        [
            "train", "als", "--interactions", interactions, "--factors", "8", "--iterations", "\(iterations)",
            "--device", "cpu",
            "--threads", "1", "--seed", "42", "--split", "random", "--output", output,
        ]
    }

    /// A folder with `shop.csv` and the model `shop.apus` trained on it, made once.
    static let trained: Result<TemporaryFolder, any Error> = Result {
        let folder = TemporaryFolder()
        let file = folder.write("shop.csv", text)
        let result = try Program.run(training(file, output: folder.path + "/shop.apus") + ["--json"])
        try #require(result.code == 0, "training failed: \(result.errors)")
        _ = folder.write("training.json", result.output)
        return folder
    }
}
