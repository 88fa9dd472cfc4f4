import Compute
import ComputeOpenCL
import Core
import FoundationEssentials

/// What `apus tune-kernels` has found for a device with its driver: one file for each, read when the device is opened.
public struct TunedKernels: Codable, Sendable {
    /// What tuning gained for one operation.
    public struct Gain: Codable, Sendable {
        public var operation: String
        /// The size at which it was measured.
        public var subject: String
        public var secondsBefore: Double
        public var secondsAfter: Double

        public init(operation: String, subject: String, secondsBefore: Double, secondsAfter: Double) {
            self.operation = operation
            self.subject = subject
            self.secondsBefore = secondsBefore
            self.secondsAfter = secondsAfter
        }
    }

    public static let currentVersion = 1

    public var version = TunedKernels.currentVersion
    public var model: String
    public var vendor: String
    /// With another driver the values no longer hold.
    public var driver: String
    public var kernelClass: String
    /// In UTC: 2026-01-31T12:00:00Z.
    public var date: String
    /// Values by the name of their ``KernelTunable``; only those that differ from the table's.
    public var values: [String: Int]
    public var gains: [Gain]

    public init(
        identity: DeviceIdentity, kernelClass: DeviceClass, date: String, values: [KernelTunable: Int], gains: [Gain]
    ) {
        model = identity.model
        vendor = identity.vendor
        driver = identity.driver
        self.kernelClass = kernelClass.rawValue
        self.date = date
        self.values = Dictionary(uniqueKeysWithValues: values.map { ($0.key.rawValue, $0.value) })
        self.gains = gains
    }

    /// The table's values with these in their place; names that are no longer known are passed over.
    public func applied(to tuning: KernelTuning) -> KernelTuning {
        var result = tuning
        for (name, value) in values {
            if let tunable = KernelTunable(rawValue: name), value > 0 || tunable.candidates.contains(value) {
                result[tunable] = value
            }
        }
        return result
    }

    // MARK: Files

    private static func path(_ identity: DeviceIdentity, _ kernels: DeviceClass) -> String? {
        let parts = [identity.model, identity.vendor, identity.driver, identity.capability, kernels.rawValue]
        return UserState.path("kernels", key: parts.joined(separator: "\n"))
    }

    /// What is remembered for a device with its present driver, or nil.
    public static func load(_ identity: DeviceIdentity, kernelClass: DeviceClass? = nil) -> TunedKernels? {
        let kernels = kernelClass ?? identity.deviceClass
        guard let path = path(identity, kernels), let bytes = UserState.read(path),
            let tuned = try? JSONDecoder().decode(TunedKernels.self, from: Data(bytes)),
            tuned.version == currentVersion, tuned.model == identity.model, tuned.vendor == identity.vendor,
            tuned.driver == identity.driver, tuned.kernelClass == kernels.rawValue
        else { return nil }
        return tuned
    }

    /// Remembers the values; the path of the file, or nil where there is no place for it.
    public func save(_ identity: DeviceIdentity, kernelClass: DeviceClass? = nil) throws -> String? {
        guard let path = Self.path(identity, kernelClass ?? identity.deviceClass) else { return nil }
        try UserState.write(try text + "\n", to: path)
        return path
    }

    /// Forgets what is remembered; whether there was anything.
    public static func forget(_ identity: DeviceIdentity, kernelClass: DeviceClass? = nil) -> Bool {
        path(identity, kernelClass ?? identity.deviceClass).map(UserState.remove) ?? false
    }

    /// As JSON.
    public var text: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            return String(decoding: try encoder.encode(self), as: UTF8.self)
        }
    }
}
