// SPDX-License-Identifier: Apache-2.0
// The verdicts of srt's own schema. stdin: an array of file texts; stdout: an array of booleans. argv[2]: the package's directory.
import { readFileSync } from 'node:fs'
const { SandboxRuntimeConfigSchema } = await import(`${process.argv[2]}/dist/index.js`)
const accepts = text => {
  let value
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  return SandboxRuntimeConfigSchema.safeParse(value).success
}
console.log(JSON.stringify(JSON.parse(readFileSync(0, 'utf-8')).map(accepts)))
