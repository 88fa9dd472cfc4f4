import Learners

/// What a device of a machine can do at most, measured before anything else.
struct MeasuredLimits: Decodable {
    /// 10⁹ float32 operations per second, a multiply-add counting as two.
    let multiplyAddGflops: Double
    /// How that was found: `register loop`, or `largest product`.
    let multiplyAddMethod: String
    /// 10⁹ bytes per second read and written by a copy larger than the caches.
    let memoryGigabytesPerSecond: Double
    /// Seconds of a tiny launch in a queue.
    let launchSecondsQueued: Double
    /// Seconds of a tiny launch that is waited for.
    let launchSecondsWaited: Double
    let uploadGigabytesPerSecond: Double
    let downloadGigabytesPerSecond: Double

    enum CodingKeys: String, CodingKey {
        case multiplyAddGflops = "multiply_add_gflops"
        case multiplyAddMethod = "multiply_add_method"
        case memoryGigabytesPerSecond = "memory_gigabytes_per_second"
        case launchSecondsQueued = "launch_seconds_queued"
        case launchSecondsWaited = "launch_seconds_waited"
        case uploadGigabytesPerSecond = "upload_gigabytes_per_second"
        case downloadGigabytesPerSecond = "download_gigabytes_per_second"
    }

    /// The roofline: 10⁹ operations per second that work of so many operations per byte can reach.
    func roof(operationsPerByte: Double) -> Double {
        min(multiplyAddGflops, operationsPerByte * memoryGigabytesPerSecond)
    }

    var json: JSONValue {
        .object([
            ("multiply_add_gflops", .number(multiplyAddGflops)),
            ("multiply_add_method", .string(multiplyAddMethod)),
            ("memory_gigabytes_per_second", .number(memoryGigabytesPerSecond)),
            ("launch_seconds_queued", .number(launchSecondsQueued)),
            ("launch_seconds_waited", .number(launchSecondsWaited)),
            ("upload_gigabytes_per_second", .number(uploadGigabytesPerSecond)),
            ("download_gigabytes_per_second", .number(downloadGigabytesPerSecond)),
        ])
    }
}

/// Where and when a figure was taken. Two devices rarely share one machine, so that every record carries all of it.
struct BenchmarkOrigin: Decodable {
    let host: String
    let processor: String
    let device: String
    let deviceModel: String
    let vendor: String
    let driver: String
    let backend: String
    /// `cpu`, `gpu` or `accelerator`.
    let deviceClass: String
    let computeUnits: Int
    let versions: [String: String]
    /// The commit of the working directory, when that is a repository.
    let commit: String?
    /// ISO 8601, UTC.
    let date: String
    /// The command that made the figure.
    let command: String
    let limits: MeasuredLimits

    enum CodingKeys: String, CodingKey {
        case host, processor, device, vendor, driver, backend, versions, commit, date, command, limits
        case deviceModel = "device_model"
        case deviceClass = "device_class"
        case computeUnits = "compute_units"
    }
}

/// One figure: a case, at certain sizes, on one device.
struct BenchmarkRecord: Decodable {
    /// Name of the benchmark: `gemm`.
    let benchmark: String
    /// What was measured, in words that are the same on every device: `1024 × 1024 × 1024`.
    let subject: String
    let origin: BenchmarkOrigin
    /// Sizes by name.
    let sizes: [String: Int]
    /// Other settings by name, the solver for example.
    let settings: [String: String]
    let runs: Int
    /// Seconds of every run, in order; empty in records of older versions.
    let samples: [Double]
    let medianSeconds: Double
    /// First and third quartile.
    let quartiles: [Double]
    /// 10⁹ operations per second; nil for cases that only move bytes.
    let gflops: Double?
    /// 10⁹ bytes per second that must be moved at least.
    let gigabytesPerSecond: Double?
    let operationsPerByte: Double?
    let percentOfLimit: Double?
    let compileSeconds: Double
    let transferSeconds: Double
    let maxDeviation: Double?
    /// What the deviation is from: `oracle`, or the name of a device.
    let deviationFrom: String?
    /// Per run.
    let launches: Int?
    let bytesUploaded: Int?
    let bytesDownloaded: Int?
    /// The loss after the last iteration, for learners.
    let loss: Double?

    enum CodingKeys: String, CodingKey {
        case benchmark, subject, sizes, settings, runs, samples, quartiles, gflops, launches, loss
        case medianSeconds = "median_seconds"
        case gigabytesPerSecond = "gigabytes_per_second"
        case operationsPerByte = "operations_per_byte"
        case percentOfLimit = "percent_of_limit"
        case compileSeconds = "compile_seconds"
        case transferSeconds = "transfer_seconds"
        case maxDeviation = "max_deviation"
        case deviationFrom = "deviation_from"
        case bytesUploaded = "bytes_uploaded"
        case bytesDownloaded = "bytes_downloaded"
    }

    /// Records of the same subject and device model can be compared with each other.
    var key: String {
        ([benchmark, subject, origin.device, origin.deviceModel]
            + settings.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }).joined(separator: "|")
    }

    /// The record as a flat object.
    var json: JSONValue {
        func number(_ value: Double?) -> JSONValue { value.map { .number($0) } ?? .null }
        func integer(_ value: Int?) -> JSONValue { value.map { .integer($0) } ?? .null }
        return .object([
            ("benchmark", .string(benchmark)), ("subject", .string(subject)), ("device", .string(origin.device)),
            ("sizes", .object(sizes.sorted { $0.key < $1.key }.map { ($0.key, .integer($0.value)) })),
            ("settings", .object(settings.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ("runs", .integer(runs)), ("samples", .array(samples.map { .number($0) })),
            ("median_seconds", .number(medianSeconds)),
            ("quartiles", .array(quartiles.map { .number($0) })), ("gflops", number(gflops)),
            ("gigabytes_per_second", number(gigabytesPerSecond)),
            ("operations_per_byte", number(operationsPerByte)), ("percent_of_limit", number(percentOfLimit)),
            ("compile_seconds", .number(compileSeconds)), ("transfer_seconds", .number(transferSeconds)),
            ("max_deviation", number(maxDeviation)), ("deviation_from", .optional(deviationFrom)),
            ("launches", integer(launches)), ("bytes_uploaded", integer(bytesUploaded)),
            ("bytes_downloaded", integer(bytesDownloaded)), ("loss", number(loss)),
            ("device_model", .string(origin.deviceModel)), ("vendor", .string(origin.vendor)),
            ("driver", .string(origin.driver)), ("backend", .string(origin.backend)),
            ("device_class", .string(origin.deviceClass)), ("compute_units", .integer(origin.computeUnits)),
            ("host", .string(origin.host)), ("processor", .string(origin.processor)),
            ("versions", .object(origin.versions.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })),
            ("commit", .optional(origin.commit)), ("date", .string(origin.date)),
            ("command", .string(origin.command)), ("limits", origin.limits.json),
        ])
    }
}

extension BenchmarkRecord {
    init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        benchmark = try values.decode(String.self, forKey: .benchmark)
        subject = try values.decode(String.self, forKey: .subject)
        origin = try BenchmarkOrigin(from: decoder)
        sizes = try values.decode([String: Int].self, forKey: .sizes)
        settings = try values.decode([String: String].self, forKey: .settings)
        runs = try values.decode(Int.self, forKey: .runs)
        samples = try values.decodeIfPresent([Double].self, forKey: .samples) ?? []
        medianSeconds = try values.decode(Double.self, forKey: .medianSeconds)
        quartiles = try values.decode([Double].self, forKey: .quartiles)
        gflops = try values.decodeIfPresent(Double.self, forKey: .gflops)
        gigabytesPerSecond = try values.decodeIfPresent(Double.self, forKey: .gigabytesPerSecond)
        operationsPerByte = try values.decodeIfPresent(Double.self, forKey: .operationsPerByte)
        percentOfLimit = try values.decodeIfPresent(Double.self, forKey: .percentOfLimit)
        compileSeconds = try values.decode(Double.self, forKey: .compileSeconds)
        transferSeconds = try values.decode(Double.self, forKey: .transferSeconds)
        maxDeviation = try values.decodeIfPresent(Double.self, forKey: .maxDeviation)
        deviationFrom = try values.decodeIfPresent(String.self, forKey: .deviationFrom)
        launches = try values.decodeIfPresent(Int.self, forKey: .launches)
        bytesUploaded = try values.decodeIfPresent(Int.self, forKey: .bytesUploaded)
        bytesDownloaded = try values.decodeIfPresent(Int.self, forKey: .bytesDownloaded)
        loss = try values.decodeIfPresent(Double.self, forKey: .loss)
        guard quartiles.count == 2 else {
            throw DecodingError.dataCorruptedError(forKey: .quartiles, in: values, debugDescription: "two numbers")
        }
    }
}
