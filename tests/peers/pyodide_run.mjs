// Runs a Python program inside Pyodide, with the source tree at /src (see in_pyodide.py):
//
//   node pyodide_run.mjs PROGRAM SOURCE WHEEL...
//
// The program may await; what it leaves in `status` is the exit status.
import { readFileSync } from "node:fs";
import { loadPyodide } from "pyodide";
import { WebSocket } from "ws";

globalThis.WebSocket ??= WebSocket; // Node has one of its own from version 22 on

const [program, source, ...wheels] = process.argv.slice(2);
const python = await loadPyodide({
  stdout: (line) => console.log(line),
  stderr: (line) => console.error(line),
});
const site = python.runPython("import site; site.getsitepackages()[0]");
for (const wheel of wheels) {
  python.unpackArchive(new Uint8Array(readFileSync(wheel)), "wheel", { extractDir: site });
}
python.mountNodeFS("/src", source);
let status = 1;
try {
  await python.runPythonAsync(readFileSync(program, "utf8"));
  status = python.globals.get("status") ?? 0;
} catch (error) {
  console.error(error.message);
}
process.exit(status);
