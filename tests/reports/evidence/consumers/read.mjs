// Reads one JUnit file with each program, and prints what each of them counted as one JSON object.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";

const require = createRequire(join(resolve(process.argv[2]), "package.json"));
const file = resolve(process.argv[3]);

const readers = {
  // Allure's own reader, with no more of Allure around it than it calls.
  "@allurereport/reader": async () => {
    const { junitXml } = await import(join(resolve(process.argv[2]), "node_modules/@allurereport/reader/dist/index.js"));
    const cases = [];
    const visitor = { visitTestResult: async (found) => cases.push(found), visitAttachmentFile: async () => {} };
    const read = await junitXml.read(visitor, {
      getOriginalFileName: () => file,
      asUtf8String: async () => readFileSync(file, "utf8"),
    });
    if (!read) throw new Error(`Allure does not take ${file}`);
    const bad = cases.filter((c) => c.status === "failed" || c.status === "broken");
    const messages = bad.map((c) => c.message ?? "");
    return { tests: cases.length, failed: bad.length, skipped: cases.filter((c) => c.status === "skipped").length, messages };
  },
  "junit-to-ctrf": () => {
    const folder = mkdtempSync(join(tmpdir(), "ctrf-"));
    const out = join(folder, "ctrf.json");
    const cli = join(resolve(process.argv[2]), "node_modules/junit-to-ctrf/dist/cli.js");
    execFileSync(process.execPath, [cli, file, "--output", out], { stdio: "ignore" });
    const { summary, tests } = JSON.parse(readFileSync(out, "utf8")).results;
    rmSync(folder, { recursive: true });
    const messages = tests.filter((t) => t.status === "failed").map((t) => t.message ?? "");
    return { tests: summary.tests, failed: summary.failed, skipped: summary.skipped, messages };
  },
  "junit2json": async () => {
    const { parse } = await import(join(dirname(require.resolve("junit2json")), "../esm/index.js"));
    const found = await parse(readFileSync(file, "utf8"));
    const cases = found.testsuite.flatMap((s) => s.testcase ?? []);
    const bad = cases.filter((c) => c.failure || c.error);
    const messages = bad.map((c) => (c.failure ?? c.error)[0].message ?? "");
    return { tests: cases.length, failed: bad.length, skipped: cases.filter((c) => c.skipped).length, messages };
  },
  "test-results-parser": () => {
    const found = require("test-results-parser").parse({ type: "junit", files: [file] });
    const cases = found.suites.flatMap((s) => s.cases);
    const messages = cases.filter((c) => c.status === "FAIL").map((c) => c.failure ?? "");
    return { tests: found.total, failed: found.failed + found.errors, skipped: found.skipped, messages };
  },
};
const told = {};
for (const [name, read] of Object.entries(readers)) told[name] = await read();
console.log(JSON.stringify(told));
