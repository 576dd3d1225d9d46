/// The candidate that a misspelled name most likely meant, or nil where none is near.
///
/// "Near" is a Levenshtein distance of at most a third of the longer name (at least 2): `laoder` finds `loader`,
/// `bank` does not find `miner`. Ties go to the first candidate.
public func nearestName(to name: String, among candidates: some Sequence<String>) -> String? {
    var best: (name: String, distance: Int)?
    for candidate in candidates {
        let distance = editDistance(name.lowercased(), candidate.lowercased())
        guard distance <= max(2, max(name.count, candidate.count) / 3) else { continue }
        if best == nil || distance < best!.distance { best = (candidate, distance) }
    }
    return best?.name
}

/// `; did you mean 'loader'?`, or nothing: the tail of a message about an unknown name.
public func suggestion(for name: String, among candidates: some Sequence<String>) -> String {
    nearestName(to: name, among: candidates).map { "; did you mean '\($0)'?" } ?? ""
}

private func editDistance(_ a: String, _ b: String) -> Int {
    let a = Array(a), b = Array(b)
    var row = Array(0...b.count)
    for (i, x) in a.enumerated() {
        var diagonal = row[0]
        row[0] = i + 1
        for (j, y) in b.enumerated() {
            let above = row[j + 1]
            row[j + 1] = min(above + 1, row[j] + 1, diagonal + (x == y ? 0 : 1))
            diagonal = above
        }
    }
    return row[b.count]
}
