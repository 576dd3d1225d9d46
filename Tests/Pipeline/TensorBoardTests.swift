import Basics
import Foundation
import TestSupport
import Testing

extension Pipeline {
    /// What a run's event files show, by TensorBoard's own code: what it serves to its pages.
    @Suite(.enabled(if: Python.has("tensorboard"), "the tensorboard package is needed (pip install tensorboard)"))
    struct TensorBoardTests {
        private struct Found: Decodable {
            struct Row: Decodable {
                var numbers: [String: Double]
                var texts: [String: String]
                var results: [String: Double]
                var status: String
            }
            struct Projector: Decodable {
                var name: String
                var shape: [Int]
                /// Rows that are no unit vectors.
                var wrong: Int
                var metadata: [String]
            }
            /// Newest step by run and tag.
            var scalars: [String: [String: Int]]
            /// Steps, and the first bytes, width and height of the newest, by tag.
            var images: [String: [[Int]]]
            var rows: [Row]
            var projector: [String: Projector]
        }

        @Test func tensorBoardShowsARun() throws {
            let (play, ending) = try LiveEvaluationTests.calm.get()
            #expect(ending.code == 0, "\(ending)")
            let text = try Python.run(["-c", Self.script, play.run + "/events"])
            let found = try JSONDecoder().decode(Found.self, from: Data(text.utf8))

            let compute = try #require(found.scalars["compute-1"])
            for tag in [
                "loss/total", "loss/cross-entropy", "loss/contrast", "lr", "images per second", "anchors/hard share",
                "similarity/positives", "similarity/negatives", "milliseconds/waited for samples",
                "anchors by class/road", "hard share by class/road", "positive similarity by class/road",
                "negative similarity by class/road",
            ] { #expect(compute[tag] == Playground.iterations, "\(tag) in \(compute.keys.sorted())") }
            let bank = try #require(found.scalars["bank-1"])
            #expect(bank["memory pixels by class/road"] == Playground.iterations)
            #expect(bank["memory regions by class/sky"] == Playground.iterations)
            let supervisor = try #require(found.scalars["supervisor"])
            #expect(supervisor["val/mIoU"] == Playground.iterations && supervisor["val/IoU/road"] != nil)

            // Two images in the split; each a strip of four tiles of 64x48.
            #expect(found.images.count == 2)
            for (tag, values) in found.images {
                #expect(tag.hasPrefix("val image, label, prediction, errors/"))
                #expect(values == [[20, 40, 60, 80], [0x89, 0x50, 0x4e, 0x47], [256, 48]])
            }

            let row = try #require(found.rows.first)
            #expect(found.rows.count == 1 && row.status == "STATUS_SUCCESS")
            #expect(row.numbers["schedule.lr"] == 0.01 && row.numbers["contrast.anchors"] == 6)
            #expect(row.texts["model.head"] == "deeplabv3" && row.texts["augmentation.crop"] == "[48, 64]")
            #expect(row.results["val/mIoU"].map { (0...1).contains($0) } == true)

            let projector = try #require(found.projector["bank-1"])
            #expect(projector.name == "memory at step \(Playground.iterations)")
            #expect(projector.shape.count == 2 && projector.shape[1] == 32 && projector.wrong == 0)
            #expect(projector.metadata.count == projector.shape[0] + 1 && projector.metadata[0] == "class\tpart\tslot")
            #expect(projector.metadata.contains { $0.hasPrefix("road\tpixels\t") })
        }

        private static let script = """
            import json, os, sys
            import numpy as np
            from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
            from tensorboard.context import RequestContext
            from tensorboard.plugins import base_plugin
            from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups
            from tensorboard.plugins.projector import projector_plugin

            folder = sys.argv[1]
            runs = plugin_event_multiplexer.EventMultiplexer(tensor_size_guidance={"scalars": 0, "images": 0})
            runs.AddRunsFromDirectory(folder)
            runs.Reload()
            provider = data_provider.MultiplexerDataProvider(runs, folder)
            context = base_plugin.TBContext(logdir=folder, multiplexer=runs, data_provider=provider, flags=None)
            request = RequestContext()

            scalars = provider.list_scalars(request, experiment_id="", plugin_name="scalars")
            images = {}
            read = provider.read_blob_sequences(request, experiment_id="", plugin_name="images", downsample=100)
            for tags in read.values():
                for tag, data in tags.items():
                    # TensorBoard hands on width, height and the file.
                    width, height, file = (provider.read_blob(request, blob_key=v.blob_key) for v in data[-1].values)
                    images[tag] = [[d.step for d in data], list(file[:4]), [int(width), int(height)]]

            hparams = backend_context.Context(context)
            experiment = get_experiment.Handler(request, hparams, "", api_pb2.GetExperimentRequest()).run()
            asked = api_pb2.ListSessionGroupsRequest(slice_size=10, allowed_statuses=[1, 2, 3])
            for column in experiment.hparam_infos:
                asked.col_params.add(hparam=column.name)
            for metric in experiment.metric_infos:
                asked.col_params.add(metric=metric.name)
            rows = []
            for group in list_session_groups.Handler(request, hparams, "", asked).run().session_groups:
                values = {name: getattr(v, v.WhichOneof("kind")) for name, v in group.hparams.items()}
                rows.append(dict(
                    numbers={n: v for n, v in values.items() if type(v) is float},
                    texts={n: v for n, v in values.items() if type(v) is str},
                    results={m.name.tag: m.value for m in group.metric_values},
                    status=api_pb2.Status.Name(group.sessions[0].status)))

            plugin = projector_plugin.ProjectorPlugin(context)
            plugin._update_configs()
            projector = {}
            for run, config in plugin._configs.items():
                for embedding in config.embeddings:
                    tensor = plugin.tensor_cache.get((run, embedding.tensor_name))
                    place = os.path.dirname(plugin.config_fpaths[run])
                    projector[run] = dict(
                        name=embedding.tensor_name, shape=list(tensor.shape),
                        wrong=int((abs(np.linalg.norm(tensor, axis=1) - 1) > 1e-5).sum()),
                        metadata=open(os.path.join(place, embedding.metadata_path)).read().splitlines())
            print(json.dumps(dict(
                scalars={run: {tag: s.max_step for tag, s in tags.items()} for run, tags in scalars.items()},
                images=images, rows=rows, projector=projector)))
            """
    }
}
