"""Published tables -> a report for people: Markdown with figures, one HTML file, and metrics; `build` is its entry.

python pipelines/report.py                  # the pipeline's: reports/
python -m trivet report <sweep folder>      # a single sweep's
"""
