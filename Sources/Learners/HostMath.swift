#if canImport(Glibc)
    import Glibc
#endif

/// xʸ in double precision.
func power(_ x: Double, _ y: Double) -> Double { pow(x, y) }

/// Base-2 logarithm of 1 + x.
func log2Plus1(_ x: Float) -> Float { Float(log1p(Double(x)) / log(2.0)) }

/// Base-2 logarithm of 1 + x, for the discounts of ranking metrics.
func log2OfOnePlus(_ x: Double) -> Double { log2(1 + x) }

/// The wall clock, in seconds since 1970.
func secondsSince1970() -> Int64 { Int64(time(nil)) }

/// eˣ in double precision.
func exponential(_ x: Double) -> Double { exp(x) }

/// cos x in double precision.
func cosine(_ x: Double) -> Double { cos(x) }
/// Natural logarithm in double precision.
func logarithm(_ x: Double) -> Double { log(x) }

/// Arc sine in double precision.
func arcsine(_ x: Double) -> Double { asin(min(max(x, -1), 1)) }

/// Memory of the machine in bytes.
public func physicalMemoryBytes() -> Int { Int(sysconf(Int32(_SC_PHYS_PAGES))) * Int(sysconf(Int32(_SC_PAGESIZE))) }

/// log(1 + x) in double precision, exact for small x.
func logarithmOfOnePlus(_ x: Double) -> Double { log1p(x) }

/// The logarithm of the gamma function, for positive numbers.
func logGamma(_ x: Double) -> Double { lgamma(x) }

/// Φ and φ: the standard normal distribution and its density.
func normalDistribution(_ x: Double) -> (distribution: Double, density: Double) {
    (0.5 * erfc(-x / 2.0.squareRoot()), exp(-x * x / 2) / (2 * Double.pi).squareRoot())
}
