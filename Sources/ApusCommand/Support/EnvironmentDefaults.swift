import ArgumentParser
import Core
import FoundationEssentials

#if canImport(Glibc)
    import Glibc
#endif

/// Environment variables as defaults of flags: APUS_DEVICE stands for `--device` where that is not given.
///
/// One mechanism for every flag of every command: the parser describes its own flags, and those with a variable are
/// added to the arguments before they are parsed.
enum EnvironmentDefaults {
    /// Variables of the name's family that are no flags.
    private static let reserved: Set<String> = ["APUS_TEST_DATA", "APUS_REQUIRE_OPENCL", "APUS_CACHE"]

    static func expand(_ arguments: [String], for root: any ParsableCommand.Type) throws -> [String] {
        let variables = apusVariables()
        guard !variables.isEmpty else { return arguments }
        let description = try JSONDecoder().decode(ToolDescription.self, from: Data(root._dumpHelp().utf8))
        var command = description.command
        var depth = 0
        for argument in arguments {
            guard let next = command.subcommands?.first(where: { $0.commandName == argument }) else { break }
            command = next
            depth += 1
        }
        guard depth > 0, command.subcommands?.contains(where: { $0.commandName != "help" }) != true else {
            return arguments
        }
        let given = Set(
            arguments.compactMap { $0.hasPrefix("--") ? $0.split(separator: "=")[0].dropFirst(2).lowercased() : nil })
        var expanded = arguments
        for flag in command.arguments ?? [] {
            let names = (flag.names ?? []).filter { $0.kind == "long" }.map(\.name)
            for name in names where given.isDisjoint(with: names.map { $0.lowercased() }) {
                let variable = "APUS_" + name.uppercased().replacingCharacter("-", by: "_")
                guard let value = variables[variable] else { continue }
                if flag.kind == "flag" {
                    if ["1", "true", "yes", "on"].contains(value.lowercased()) { expanded.append("--\(name)") }
                } else {
                    expanded.append("--\(name)=\(value)")
                }
            }
        }
        return expanded
    }

    private static func apusVariables() -> [String: String] {
        var found: [String: String] = [:]
        var place = environ
        while let entry = place.pointee {
            let text = String(cString: entry)
            place += 1
            guard text.hasPrefix("APUS_"), let equals = text.firstIndex(of: "=") else { continue }
            let name = String(text[..<equals])
            let value = String(text[text.index(after: equals)...])
            if !reserved.contains(name) && !value.isEmpty { found[name] = value }
        }
        return found
    }

    private struct ToolDescription: Decodable {
        let command: CommandDescription
    }

    private struct CommandDescription: Decodable {
        let commandName: String
        let subcommands: [CommandDescription]?
        let arguments: [ArgumentDescription]?
    }

    private struct ArgumentDescription: Decodable {
        struct Name: Decodable {
            let kind: String
            let name: String
        }
        let kind: String
        let names: [Name]?
    }
}

extension String {
    fileprivate func replacingCharacter(_ old: Character, by new: Character) -> String {
        String(map { $0 == old ? new : $0 })
    }
}
