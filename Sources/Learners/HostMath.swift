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

/// Natural logarithm in double precision.
func logarithm(_ x: Double) -> Double { log(x) }

/// Arc sine in double precision.
func arcsine(_ x: Double) -> Double { asin(min(max(x, -1), 1)) }
