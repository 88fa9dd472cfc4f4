import Compute

#if canImport(Glibc)
    import Glibc
#endif

extension Certificate {
    /// Draws up a certificate from results.
    public init(device: any Device, sweep: Sweep, results: [ConformanceResult], kernelClass: DeviceClass? = nil) {
        let records = OperationKind.allCases.compactMap { operation -> Record? in
            let own = results.filter { $0.operation == operation }
            guard !own.isEmpty else { return nil }
            let worst = own.max { $0.ratio < $1.ratio }
            let failed = own.filter { !$0.passed }
            return Record(
                operation: operation.rawValue, sweep: sweep.rawValue, cases: own.count, failures: failed.count,
                maximumDeviation: worst?.maximumDeviation ?? 0, tolerance: worst?.tolerance ?? 0,
                worstDeviationOverTolerance: worst?.ratio ?? 0, worstCase: worst?.name ?? "",
                seconds: own.reduce(0) { $0 + ($1.seconds.isFinite ? $1.seconds : 0) }, passed: failed.isEmpty,
                reason: failed.first.map { "\($0.name): \($0.message)" })
        }
        self.init(
            identity: device.identity, kernelClass: kernelClass ?? device.identity.deviceClass, sweep: sweep.rawValue,
            date: Self.now(), operations: records)
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
