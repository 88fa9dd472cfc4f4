/// What a device has shown that it can do, with this driver. A device is not used for an operation that it failed.
public struct Certificate: Codable, Sendable, Equatable {
    /// How one operation fared.
    public struct Record: Codable, Sendable, Equatable {
        /// Name of the operation.
        public var operation: String
        /// `minimal`, `reduced` or `full`: the sweep that the cases were taken from.
        public var sweep: String
        /// Cases run.
        public var cases: Int
        /// Cases failed.
        public var failures: Int
        /// Difference from the oracle where it was largest in relation to its tolerance.
        public var maximumDeviation: Double
        /// The tolerance there; 0 where results must be exact.
        public var tolerance: Double
        /// The former over the latter; at most 1 when every comparison passed.
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
        /// How fast it is at a size worth measuring; nil where that was not measured.
        public var speed: Speed?

        public init(
            operation: String, sweep: String, cases: Int, failures: Int, maximumDeviation: Double, tolerance: Double,
            worstDeviationOverTolerance: Double, worstCase: String, seconds: Double, passed: Bool, reason: String?
        ) {
            self.operation = operation
            self.sweep = sweep
            self.cases = cases
            self.failures = failures
            self.maximumDeviation = maximumDeviation
            self.tolerance = tolerance
            self.worstDeviationOverTolerance = worstDeviationOverTolerance
            self.worstCase = worstCase
            self.seconds = seconds
            self.passed = passed
            self.reason = reason
        }
    }

    /// What was measured of one operation.
    public struct Speed: Codable, Sendable, Equatable {
        /// The size, in words.
        public var subject: String
        /// Median of several runs.
        public var medianSeconds: Double
        /// 10⁹ floating-point operations per second; nil for an operation that only moves bytes.
        public var gflops: Double?
        /// 10⁹ bytes per second that must be moved at least.
        public var gigabytesPerSecond: Double
        /// Of what the roofline allows.
        public var percentOfLimit: Double

        public init(
            subject: String, medianSeconds: Double, gflops: Double?, gigabytesPerSecond: Double, percentOfLimit: Double
        ) {
            self.subject = subject
            self.medianSeconds = medianSeconds
            self.gflops = gflops
            self.gigabytesPerSecond = gigabytesPerSecond
            self.percentOfLimit = percentOfLimit
        }
    }

    /// What the machine could do when the speeds were measured.
    public struct Limits: Codable, Sendable, Equatable {
        /// 10⁹ float32 operations per second.
        public var multiplyAddGflops: Double
        /// 10⁹ bytes per second of a copy, read and written.
        public var memoryGigabytesPerSecond: Double

        public init(multiplyAddGflops: Double, memoryGigabytesPerSecond: Double) {
            self.multiplyAddGflops = multiplyAddGflops
            self.memoryGigabytesPerSecond = memoryGigabytesPerSecond
        }
    }

    /// Version of this format.
    public static let currentVersion = 2

    /// Version of the format that it was written in.
    public var version = Certificate.currentVersion
    /// The name by which the device was selected.
    public var device: String
    public var backend: String
    public var model: String
    public var vendor: String
    /// Versions of the driver and libraries: with another driver the certificate no longer holds.
    public var driver: String
    public var deviceClass: String
    /// The class of the kernels that were checked; another than that of the device only where it was forced.
    public var kernelClass: String
    public var capability: String
    /// `minimal`, `reduced` or `full`.
    public var sweep: String
    /// When it was drawn up, in UTC: 2026-01-31T12:00:00Z.
    public var date: String
    /// nil where no speed was measured.
    public var limits: Limits?
    /// What probes of the device found, by name: PTX version, matrix units.
    public var probes: [String: String] = [:]
    /// One record for every operation that was tried.
    public var operations: [Record]

    /// Draws up a certificate.
    public init(
        identity: DeviceIdentity, kernelClass: DeviceClass, sweep: String, date: String, operations: [Record]
    ) {
        device = identity.name
        backend = identity.backend
        model = identity.model
        vendor = identity.vendor
        driver = identity.driver
        deviceClass = identity.deviceClass.rawValue
        self.kernelClass = kernelClass.rawValue
        capability = identity.capability
        self.sweep = sweep
        self.date = date
        self.operations = operations
    }

    /// Whether every operation that was tried passed.
    public var passed: Bool { operations.allSatisfy(\.passed) }

    /// Whether the certificate speaks of this device with this driver.
    public func covers(_ identity: DeviceIdentity, kernelClass: DeviceClass? = nil) -> Bool {
        backend == identity.backend && model == identity.model && vendor == identity.vendor
            && driver == identity.driver && capability == identity.capability
            && deviceClass == identity.deviceClass.rawValue
            && self.kernelClass == (kernelClass ?? identity.deviceClass).rawValue
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

    /// The certificate with what an earlier one knows and this one does not: operations that were not tried now, and
    /// failures in a larger sweep than the one that was passed now, which a smaller one can't clear.
    public func keepingFailures(of earlier: Certificate, rank: (String) -> Int) -> Certificate {
        var merged = self
        for old in earlier.operations {
            guard let place = merged.operations.firstIndex(where: { $0.operation == old.operation }) else {
                merged.operations.append(old)
                continue
            }
            let new = merged.operations[place]
            if !old.passed, new.passed, rank(new.sweep) < rank(old.sweep) { merged.operations[place] = old }
        }
        return merged
    }
}
