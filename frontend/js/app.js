// The console's script: for the people who serve.
import { startCopying } from "./copy.js";
import { startPalette } from "./palette.js";
import { startPage } from "./shared.js";

startPage();
startCopying();
startPalette();
