// swift-tools-version: 6.1
import PackageDescription

// Imports run one way, down this list; `scripts/test` builds with
// `--explicit-target-dependency-import-check error`, so that nothing reaches around it.
let package = Package(
    name: "apus",
    products: [
        .library(name: "Apus", targets: ["Apus"]),
        .executable(name: "apus", targets: ["ApusCommand"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
    ],
    targets: [
        .systemLibrary(
            name: "COpenBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev", "liblapacke-dev"])]),
        .systemLibrary(
            name: "COpenCL", pkgConfig: "OpenCL", providers: [.apt(["ocl-icd-opencl-dev", "opencl-headers"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CZstandard", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .target(name: "CKernels"),
        .target(name: "CVectorLoops"),

        .target(name: "Core", dependencies: ["CVectorLoops"]),
        .target(name: "Compute", dependencies: ["Core"]),
        .target(name: "ComputeCPU", dependencies: ["Core", "Compute", "COpenBLAS", "CVectorLoops"]),
        .target(name: "ComputeOpenCL", dependencies: ["Core", "Compute", "COpenCL", "CKernels"]),
        .target(name: "Devices", dependencies: ["Core", "Compute", "ComputeCPU", "ComputeOpenCL"]),
        .target(
            name: "Tables",
            dependencies: [
                "Core", "CVectorLoops", "CSQLite", "CZlib", "CZstandard", .product(name: "Yams", package: "Yams"),
            ]),
        .target(name: "Charts", dependencies: ["Core"]),
        .target(name: "Learners", dependencies: ["Core", "Compute", "Tables", "Charts", "CVectorLoops"]),
        .target(name: "Apus", dependencies: ["Core", "Compute", "Devices", "Tables", "Charts", "Learners"]),
        .target(name: "Conformance", dependencies: ["Core", "Compute"]),
        .executableTarget(
            name: "ApusCommand",
            dependencies: [
                "Core", "Compute", "ComputeOpenCL", "Devices", "Tables", "Charts", "Learners", "Apus", "Conformance",
                "CVectorLoops",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),

        .testTarget(name: "CoreTests", dependencies: ["Core"]),
        .testTarget(
            name: "ComputeTests",
            dependencies: ["Core", "Compute", "ComputeCPU", "ComputeOpenCL", "Devices", "Conformance"]),
        .testTarget(name: "ChartsTests", dependencies: ["Charts"]),
        .testTarget(name: "TablesTests", dependencies: ["CSQLite", "Core", "Tables"]),
        .testTarget(
            name: "LearnersTests", dependencies: ["Core", "Compute", "Conformance", "Devices", "Tables", "Learners"],
            exclude: ["Fixtures"]),
        .testTarget(name: "CommandTests", dependencies: ["Core"]),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu2x
)
