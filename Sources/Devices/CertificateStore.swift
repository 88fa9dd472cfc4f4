import Compute
import Core
import FoundationEssentials

/// The certificates that `apus doctor` has drawn up for this user.
public enum CertificateStore {
    /// Sweeps by size: a pass clears a failure only of a sweep that is no larger.
    private static let sweeps = ["minimal", "reduced", "full"]

    /// The certificate of a device with its present driver, or nil.
    public static func certificate(of identity: DeviceIdentity, kernelClass: DeviceClass? = nil) -> Certificate? {
        let kernels = kernelClass ?? identity.deviceClass
        guard let path = UserState.path("certificates", key: key(identity, kernels)),
            let bytes = UserState.read(path), let certificate = try? decode(bytes),
            certificate.covers(identity, kernelClass: kernels)
        else { return nil }
        return certificate
    }

    /// Keeps a certificate, beside what an earlier one knows that this one does not clear.
    ///
    /// - Returns: what holds from now on, and the file; nil for the file where there is no place to keep it.
    public static func keep(
        _ certificate: Certificate, of identity: DeviceIdentity, kernelClass: DeviceClass? = nil
    ) throws -> (certificate: Certificate, path: String?) {
        let kernels = kernelClass ?? identity.deviceClass
        var merged = certificate
        if let earlier = self.certificate(of: identity, kernelClass: kernels) {
            merged = certificate.keepingFailures(of: earlier) { sweeps.firstIndex(of: $0) ?? 0 }
        }
        let path = UserState.path("certificates", key: key(identity, kernels))
        if let path { try UserState.write(try encode(merged), to: path) }
        return (merged, path)
    }

    /// A certificate as JSON, with a line break at the end.
    public static func encode(_ certificate: Certificate) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return String(decoding: try encoder.encode(certificate), as: UTF8.self) + "\n"
    }

    /// Reads what ``encode(_:)`` wrote; throws for another version of the format.
    public static func decode(_ bytes: [UInt8]) throws -> Certificate {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let certificate = try decoder.decode(Certificate.self, from: Data(bytes))
        guard certificate.version == Certificate.currentVersion else {
            throw DataError("a certificate of version \(certificate.version); run `apus doctor` again")
        }
        return certificate
    }

    private static func key(_ identity: DeviceIdentity, _ kernels: DeviceClass) -> String {
        [
            identity.backend, identity.model, identity.vendor, identity.driver, identity.capability,
            identity.deviceClass.rawValue, kernels.rawValue,
        ].joined(separator: "\n")
    }
}
