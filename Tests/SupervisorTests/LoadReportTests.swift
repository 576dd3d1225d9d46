import Configuration
import Foundation
import StageKit
import Testing
import Wire

@testable import Supervisor

/// What a report says of loads: rates of the stages' counts, and the links.
@Suite struct LoadReportTests {
    @Test func ratesAreOfTheStagesOwnClock() {
        var rates = MetricRates()
        rates.note([ProcessMetric.uptime: 10, ProcessMetric.cpu: 5, "samples.underWay": 3], now: .zero)
        #expect(rates.perSecond.isEmpty)
        // Our clock says half a second; the stage's says two.
        rates.note([ProcessMetric.uptime: 12, ProcessMetric.cpu: 8, "samples.underWay": 9], now: .milliseconds(500))
        #expect(rates.perSecond == [ProcessMetric.cpu: 1.5])
    }

    @Test func ratesAreOverTheLastSecondsOnly() {
        var rates = MetricRates()
        for second in 0...20 {
            let tickets = second <= 10 ? 4 * second : 40
            rates.note([WorkerMetric.tickets: Double(tickets)], now: .seconds(second))
        }
        #expect(rates.perSecond == [WorkerMetric.tickets: 0])
        rates.note([WorkerMetric.tickets: 45], now: .seconds(21))
        #expect(rates.perSecond == [WorkerMetric.tickets: 1])
    }

    @Test func anotherProcessBeginsAnew() {
        var rates = MetricRates()
        rates.note([ProcessMetric.uptime: 10, WorkerMetric.tickets: 100], now: .zero)
        rates.note([ProcessMetric.uptime: 11, WorkerMetric.tickets: 110], now: .seconds(1))
        rates.note([ProcessMetric.uptime: 1, WorkerMetric.tickets: 2], now: .seconds(2))
        #expect(rates.perSecond.isEmpty)
        rates.note([ProcessMetric.uptime: 2, WorkerMetric.tickets: 5], now: .seconds(3))
        #expect(rates.perSecond == [WorkerMetric.tickets: 3])
        // A stage without a clock of its own.
        var python = MetricRates()
        python.note([WorkerMetric.tickets: 100], now: .zero)
        python.note([WorkerMetric.tickets: 1], now: .seconds(1))
        #expect(python.perSecond.isEmpty)
    }

    @Test func linksAreCountedWhereTheyAreBound() throws {
        let run = try FakeRun(loaders: 2)
        run.handle(.start)
        for second in 0...2 {
            let time = Double(second)
            run.clock.advance(.seconds(1))
            run.say(
                .heartbeat(
                    Heartbeat(
                        state: .running,
                        metrics: [
                            "samples.receivedBytes": 1000 * time, "samples.delivered": 8 * time, "samples.underWay": 12,
                            "samples.ready": 4, "mining.sentBytes": 50 * time, "mining.receivedBytes": 70 * time,
                            "mining.delivered": 3 * time, "mining.underWay": 2, "mining.ready": 1,
                        ])), as: .compute)
            run.say(
                .heartbeat(
                    Heartbeat(
                        state: .running,
                        metrics: [
                            "memory.receivedBytes": 10 * time, "memory.sentBytes": 20 * time, "memory.sequence": time,
                        ]
                    )), as: .bank)
        }
        let client = ControlPeer(Data("client".utf8))
        let report = try #require(
            run.handle(.message(.statusRequest, from: client, incarnation: Incarnation(rawValue: "c")))
                .reply(to: client))
        func link(_ label: String) throws -> StatusReport.Link {
            try #require(report.links?.first { $0.label == label })
        }
        #expect(
            try link("samples")
                == StatusReport.Link(
                    from: "loader", to: "compute", label: "samples", underWay: 12, ready: 4, perSecond: 8,
                    bytesPerSecond: 1000))
        #expect(
            try link("anchors")
                == StatusReport.Link(
                    from: "compute", to: "miner", label: "anchors", underWay: 2, perSecond: 3, bytesPerSecond: 50))
        #expect(
            try link("gradients")
                == StatusReport.Link(
                    from: "miner", to: "compute", label: "gradients", ready: 1, perSecond: 3, bytesPerSecond: 70))
        #expect(try link("keys").perSecond == 1 && link("keys").bytesPerSecond == 10)
        #expect(try link("log").bytesPerSecond == 20)
        #expect(report.replicas == ["loader": 2, "miner": 1], "bank and compute cannot be scaled")
        #expect(report.stages.first { $0.stage == "compute" }?.rates?["samples.delivered"] == 8)
    }

    @Test func stageInBetweenHasALinkOfItsOwn() throws {
        let run = try FakeRun()
        run.insertCutout()
        run.handle(.start, answering: false)
        run.hello(.cutout, kind: .loader)
        for second in 0...1 {
            run.clock.advance(.seconds(1))
            run.say(
                .heartbeat(Heartbeat(state: .running, metrics: ["upstream.receivedBytes": 30 * Double(second)])),
                as: .cutout)
        }
        let links = try #require(run.core.answer().links)
        let samples = links.filter { $0.label == "samples" }
        #expect(samples.map(\.from) == ["loader", "cutout"])
        #expect(samples[0].bytesPerSecond == 30 && samples[1].bytesPerSecond == nil)
        #expect(run.core.answer().replicas?["cutout"] == nil, "its replicas are those of the start")
    }
}
