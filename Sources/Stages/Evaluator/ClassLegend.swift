import Datasets
import Foundation

/// The classes' names beside their colours, as an SVG: browsers and editors of slides show it at any size.
enum ClassLegend {
    static func svg(_ classes: [ClassInfo]) -> String {
        let (line, width) = (26, 40 + 9 * (classes.map(\.name.count).max() ?? 0))
        let rows = classes.enumerated().map { place, info in
            let color = "rgb(\(info.color.red),\(info.color.green),\(info.color.blue))"
            let name = info.name.replacingOccurrences(of: "&", with: "&amp;")
                .replacingOccurrences(of: "<", with: "&lt;")
            return """
                <rect x="8" y="\(line * place + 8)" width="18" height="18" rx="3" fill="\(color)" stroke="#888"/>
                <text x="34" y="\(line * place + 22)">\(name)</text>
                """
        }
        let height = line * classes.count + 10
        return """
            <svg xmlns="http://www.w3.org/2000/svg" width="\(width)" height="\(height)" viewBox="0 0 \(width) \(height)">
            <rect width="100%" height="100%" fill="#fff"/>
            <g font-family="sans-serif" font-size="15" fill="#222">
            \(rows.joined(separator: "\n"))
            </g>
            </svg>

            """
    }
}
