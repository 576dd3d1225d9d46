import Foundation
import Supervisor

extension ReportPage {
    /// The best and the worst of the newest evaluation's images, and the few that every evaluation shows.
    var pictures: String {
        if compares { return comparedPictures }
        guard let found = runs[0].pictures, !found.pictures.isEmpty else { return "" }
        let note = "\(found.split), step \(HTMLText.grouped(Int(found.step)))"
        let parts: [(String, EvaluationPictures.Choice)] = [
            ("Worst", .worst), ("Best", .best), ("Always shown", .fixed),
        ]
        return section(
            "Images", note: note,
            legend
                + parts.map { title, choice in
                    let shown = found.pictures(choice).map { figure($0, caption: HTMLText.escape($0.name)) }
                    return shown.isEmpty ? "" : "<h3>\(title)</h3><div class=strips>\(shown.joined())</div>"
                }.joined())
    }

    /// The same images of all runs below each other.
    private var comparedPictures: String {
        var names: [String] = []
        for run in runs {
            for picture in run.pictures?.pictures(.fixed) ?? [] where !names.contains(picture.name) {
                names.append(picture.name)
            }
        }
        let parts = names.map { name in
            let shown = runs.indices.compactMap { index in
                runs[index].pictures?.pictures(.fixed).first { $0.name == name }.map { figure($0, caption: key(index)) }
            }
            return "<h3>\(HTMLText.escape(name))</h3><div class=strips>\(shown.joined())</div>"
        }
        return section("Images", parts.isEmpty ? "" : legend + parts.joined())
    }

    private var legend: String {
        let run = runs.first { $0.dataset != nil }
        let classes = run?.dataset.map { dataset in
            zip(dataset.classes, dataset.palette).map { name, color in
                "<span><i class=swatch style=\"background:rgb(\(color.map(String.init).joined(separator: ",")))\"></i>\(HTMLText.escape(name))</span>"
            }.joined()
        }
        return "<p class=faint>Each: image, label map, prediction, errors in red (darker: not labelled).</p>"
            + (classes.map {
                "<details class=legend-box><summary>Colours of the classes</summary><p class=names>\($0)</p></details>"
            } ?? "")
    }

    /// Four tiles cut from one picture.
    private func figure(_ picture: EvaluationPictures.Picture, caption: String) -> String {
        let url = "data:image/png;base64,\(Data(picture.png).base64EncodedString())"
        let tiles = ["image", "label map", "prediction", "errors"].enumerated().map { place, what in
            "<i role=img aria-label=\"\(what) of \(HTMLText.escape(picture.name))\" style=\"--k:\(place)\"></i>"
        }
        return
            "<figure class=strip style=\"--p:url(\(url));--r:\(picture.width)/\(picture.height)\"><div>\(tiles.joined())</div><figcaption>\(caption) <small>\(picture.mIoU.map { "mIoU " + HTMLText.percent($0) } ?? "nothing labelled")</small></figcaption></figure>"
    }
}
