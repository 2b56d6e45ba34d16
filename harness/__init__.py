"""LayerProof's harness: predicts, drives and observes Docker builds; `properties/` judges them."""
