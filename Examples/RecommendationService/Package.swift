// swift-tools-version: 6.1
import PackageDescription

let package = Package(
    name: "RecommendationService",
    dependencies: [.package(name: "apus", path: "../..")],
    targets: [
        .executableTarget(
            name: "RecommendationService", dependencies: [.product(name: "Apus", package: "apus")])
    ],
    swiftLanguageModes: [.v6]
)
