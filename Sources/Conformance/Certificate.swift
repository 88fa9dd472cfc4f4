import Compute

#if canImport(Glibc)
    import Glibc
#endif

/// What a device has shown that it can do, with this driver. A device is not used for an operation that it failed.
public struct Certificate: Codable, Sendable, Equatable {
    /// How one operation fared.
    public struct Record: Codable, Sendable, Equatable {
        /// Name of the operation.
        public var operation: String
        /// Cases run.
        public var cases: Int
        /// Cases failed.
        public var failures: Int
        /// The largest deviation in relation to its tolerance; at most 1 when every comparison passed.
        public var worstDeviationOverTolerance: Double
        /// The case in which that was.
        public var worstCase: String
        /// Seconds that the cases took on the device.
        public var seconds: Double
        /// Whether every case passed.
        public var passed: Bool
        /// Why the device does not do this operation at all, or what went wrong in the first failed case; nil when it
        /// passed.
        public var reason: String?
    }

    /// Version of this format.
    public var version = 1
    /// The name by which the device is selected.
    public var device: String
    public var backend: String
    public var model: String
    public var vendor: String
    /// Versions of the driver and libraries: with another driver the certificate no longer holds.
    public var driver: String
    public var deviceClass: String
    public var capability: String
    /// `minimal`, `reduced` or `full`.
    public var sweep: String
    /// When it was drawn up, in UTC: 2026-01-31T12:00:00Z.
    public var date: String
    /// One record for every operation that was tried.
    public var operations: [Record]

    /// Draws up a certificate from results.
    public init(device: any Device, sweep: Sweep, results: [ConformanceResult]) {
        let identity = device.identity
        self.device = identity.name
        backend = identity.backend
        model = identity.model
        vendor = identity.vendor
        driver = identity.driver
        deviceClass = identity.deviceClass.rawValue
        capability = identity.capability
        self.sweep = sweep.rawValue
        date = Self.now()
        operations = OperationKind.allCases.compactMap { operation in
            let own = results.filter { $0.operation == operation }
            guard !own.isEmpty else { return nil }
            let worst = own.max { $0.ratio < $1.ratio }
            let failed = own.filter { !$0.passed }
            return Record(
                operation: operation.rawValue, cases: own.count, failures: failed.count,
                worstDeviationOverTolerance: worst?.ratio ?? 0, worstCase: worst?.name ?? "",
                seconds: own.reduce(0) { $0 + ($1.seconds.isFinite ? $1.seconds : 0) }, passed: failed.isEmpty,
                reason: failed.first.map { "\($0.name): \($0.message)" })
        }
    }

    /// Whether every operation that was tried passed.
    public var passed: Bool { operations.allSatisfy(\.passed) }

    /// Whether the certificate speaks of this device with this driver.
    public func covers(_ identity: DeviceIdentity) -> Bool {
        backend == identity.backend && model == identity.model && vendor == identity.vendor
            && driver == identity.driver && capability == identity.capability
            && deviceClass == identity.deviceClass.rawValue
    }

    /// The operations that a device with this certificate may not be used for, with the reason.
    public var unsupportedOperations: [OperationKind: String] {
        var refused: [OperationKind: String] = [:]
        for record in operations where !record.passed {
            if let kind = OperationKind(rawValue: record.operation) {
                refused[kind] = "failed its conformance check (\(record.reason ?? "no reason given"))"
            }
        }
        return refused
    }

    private static func now() -> String {
        var seconds = time(nil)
        var parts = tm()
        gmtime_r(&seconds, &parts)
        var buffer = [CChar](repeating: 0, count: 32)
        let length = strftime(&buffer, buffer.count, "%Y-%m-%dT%H:%M:%SZ", &parts)
        return String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
